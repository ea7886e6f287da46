"""The embedding function for the all-MiniLM-L6-v2 model, which is in `model`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...errors import InvalidArgumentError
from ...internal.distribution import full
from ...internal.telemetry_opt_out import opt_out
from ..core.protocol import EmbeddingFunction, Space

if TYPE_CHECKING:
    from ..core.protocol import Vectors
    from .model import Model


# what is missing, and what to do, where only the client is installed
_LACKING = (
    "The default embedding model",
    "pass embeddings=…, or open the collection with embedding_function=…",
    InvalidArgumentError,
)


class ONNXMiniLM_L6_V2(EmbeddingFunction[list[str]]):
    """all-MiniLM-L6-v2 in onnxruntime: float32, 384 dimensions, unit length.

    preferred_providers  onnxruntime execution providers, best first; default: the CPU
    path                 folder with `model.onnx` and `tokenizer.json`; default: found by the search that
                         `chroma.embedding.minilm.weights` describes. Not part of the stored configuration
    download             True: download the original weights if no others are found (the environment
                         variable CHROMA_ALLOW_DOWNLOAD=1 allows this too). Default False
    Creating an instance loads nothing. The first call loads the model, which the process then shares.
    """

    __module__ = "chroma.utils.embedding_functions"

    MODEL_NAME = "all-MiniLM-L6-v2"
    MAX_TOKENS = 256

    def __init__(
        self,
        preferred_providers: Sequence[str] | None = None,
        *,
        path: str | None = None,
        download: bool = False,
    ) -> None:
        providers = preferred_providers
        if providers is not None:
            if isinstance(providers, str) or not all(isinstance(name, str) for name in providers):
                raise InvalidArgumentError(
                    f"Preferred providers must be a list of strings, got preferred_providers={providers!r}."
                )
            if len(set(providers)) != len(providers):
                raise InvalidArgumentError(
                    f"Preferred providers must be unique, got preferred_providers={list(providers)!r}."
                )
        self._providers = tuple(providers or ())
        self._path = path
        self._download = download

    def __call__(self, input: list[str]) -> Vectors:
        return list(self._load().embed(input))

    def _download_model_if_not_exists(self) -> None:
        """Load the model now. Programs call this method of Chroma's while they are installed."""
        self._load()

    def _load(self) -> Model:
        opt_out()
        with full(*_LACKING):
            # onnxruntime and numpy load here, at first use, to keep `import chroma` light
            from .model import load

        return load(self._providers, self._path, self._download)

    @staticmethod
    def name() -> str:
        return "onnx_mini_lm_l6_v2"

    def get_config(self) -> dict[str, Any]:
        return {"preferred_providers": list(self._providers) or None}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> ONNXMiniLM_L6_V2:
        return ONNXMiniLM_L6_V2(preferred_providers=config.get("preferred_providers"))

    def default_space(self) -> Space:
        return "cosine"

    def max_tokens(self) -> int:
        """Return the maximum number of tokens, both end markers included. Longer texts are truncated."""
        return self.MAX_TOKENS

    def are_cut(self, texts: Sequence[str]) -> list[bool]:
        """Whether the model reads only the beginning of each text."""
        with full(*_LACKING):
            from .tokens import are_cut

        return are_cut(texts)

    def split(self, text: str, tokens: int, overlap: int) -> list[tuple[int, int]]:
        """Return where the pieces of a text begin and end. `chroma.split` explains the arguments."""
        with full(*_LACKING):
            from .tokens import split

        return split(text, tokens, overlap)

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        unknown = set(config) - {"preferred_providers"}
        if unknown:
            raise InvalidArgumentError(
                f"Unknown keys {sorted(unknown)} in the configuration of onnx_mini_lm_l6_v2; "
                "it has `preferred_providers` only."
            )
        ONNXMiniLM_L6_V2(preferred_providers=config.get("preferred_providers"))
