"""Voyage AI: models that may embed documents and queries differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InvalidArgumentError
from ..core.api_keys import LATER, Key
from ..core.config_schema import MAYBE_TEXT, TEXT, Form
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction, Space
from .openai import read_data

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "VoyageAIEmbeddingFunction"
_URL = "https://api.voyageai.com/v1/embeddings"
_VARIABLES = ("CHROMA_VOYAGE_API_KEY", "VOYAGE_API_KEY")
_LIMIT = 1000  # texts per request
_TOKENS = 120_000  # tokens per request, the lowest limit of any model
_FORM = Form(
    "voyageai",
    {"api_key_env_var": TEXT, "model_name": TEXT, "input_type": MAYBE_TEXT, "truncation": (bool,)},
    needed=("model_name",),
    fixed=("model_name", "input_type"),
)


class VoyageAIEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Voyage AI's models.

    api_key          never stored; default: CHROMA_VOYAGE_API_KEY, else VOYAGE_API_KEY
    model_name       for example "voyage-3.5"
    api_key_env_var  the environment variable with the key; its name is stored
    input_type       "document": documents are embedded as documents and queries as queries, as the provider
                     recommends for search. "query": both as queries. None (default): neither is marked
    truncation       True: texts that are too long for the model are truncated; False: they are refused
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 1000 texts and about 120,000 tokens per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "voyage-large-2",
        api_key_env_var: str = _VARIABLES[0],
        input_type: str | None = None,
        truncation: bool = True,
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._config: dict[str, Any] = {
            "api_key_env_var": api_key_env_var,
            "model_name": model_name,
            "input_type": input_type,
            "truncation": truncation,
        }
        _FORM.check(self._config)
        if input_type not in (None, "document", "query"):
            raise InvalidArgumentError(
                f"{_SOURCE}: `input_type` must be 'document', 'query' or None, got {input_type!r}."
            )
        key = Key(_SOURCE, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = Endpoint(_SOURCE, _URL, key, timeout=timeout, retries=max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return self._embed(input, self._config["input_type"])

    def embed_query(self, input: list[str]) -> Vectors:
        return self._embed(input, "query" if self._config["input_type"] is not None else None)

    def _embed(self, texts: list[str], kind: Any) -> Vectors:
        common = {"model": self._config["model_name"], "truncation": self._config["truncation"]}
        if kind is not None:
            common["input_type"] = kind
        return in_batches(  # type: ignore[return-value]
            texts,
            lambda batch: read_data(self._endpoint.post({**common, "input": batch}), _SOURCE),
            source=_SOURCE,
            limit=_LIMIT,
            tokens=_TOKENS,
        )

    @staticmethod
    def name() -> str:
        return "voyageai"

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> VoyageAIEmbeddingFunction:
        return VoyageAIEmbeddingFunction(api_key=LATER, **config)

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _FORM.check_update(old_config, new_config)
