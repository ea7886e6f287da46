"""Local models that the package sentence-transformers runs."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import InvalidArgumentError
from ...internal.optional_dependencies import is_plain, require
from ..core.api_keys import is_secret_name
from ..core.config_schema import TEXT, Form
from ..core.inputs import checked
from ..core.protocol import EmbeddingFunction, Space

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "SentenceTransformerEmbeddingFunction"
_PACKAGE = "sentence_transformers"
_EXTRA = "sentence-transformers"
# arguments that a stored configuration may pass to the package: none of them runs or downloads code
_STORED_ARGUMENTS = (
    "default_prompt_name",
    "local_files_only",
    "prompts",
    "revision",
    "similarity_fn_name",
    "truncate_dim",
)
_FORM = Form(
    "sentence_transformer",
    {"model_name": TEXT, "device": TEXT, "normalize_embeddings": (bool,), "kwargs": (dict,)},
    needed=("model_name",),
    fixed=("model_name", "normalize_embeddings", "kwargs"),
)


class SentenceTransformerEmbeddingFunction(EmbeddingFunction[list[str]]):
    """Local models of sentence-transformers. Needs `chroma-arrow[sentence-transformers]`.

    model_name            a Hugging Face model, which the package downloads at first use, or a folder
    device                "cpu", "cuda", "mps", …
    normalize_embeddings  True: return vectors of length 1
    kwargs                arguments for `SentenceTransformer(…)`. `token` is not stored. A function with
                          arguments that JSON cannot hold must be passed to `get_collection` again
    Documents are embedded without a prompt unless `default_prompt_name` is given. Queries use the model's
    "query" prompt if the model has this prompt and no prompt for documents. The process shares a loaded
    model, which one thread uses at a time.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(
        self,
        model_name: str = "all-MiniLM-L6-v2",
        device: str = "cpu",
        normalize_embeddings: bool = False,
        **kwargs: Any,
    ) -> None:
        if sys.modules.get(_PACKAGE) is None and importlib.util.find_spec(_PACKAGE) is None:
            require(_PACKAGE, _EXTRA, _SOURCE)
        self._set(model_name, device, normalize_embeddings, kwargs)

    def _set(self, model_name: str, device: str, normalize_embeddings: bool, kwargs: dict[str, Any]) -> None:
        self._config: dict[str, Any] = {
            "model_name": model_name,
            "device": device,
            "normalize_embeddings": normalize_embeddings,
            "kwargs": kwargs,
        }
        _FORM.check(self._config)

    def __call__(self, input: list[str]) -> Vectors:
        return self._embed(input, False)

    def embed_query(self, input: list[str]) -> Vectors:
        return self._embed(input, True)

    def _embed(self, texts: list[str], queries: bool) -> Vectors:
        given = checked(texts)
        # the package's tokenizers cannot be used by two threads at once
        with _using:
            model = self._model()
            prompts = getattr(model, "prompts", None) or {}
            plain = not any(prompts.get(name) for name in ("document", "passage", "corpus"))
            prompt = "query" if queries and plain and prompts.get("query") else None
            return model.encode(  # type: ignore[no-any-return]
                given,
                convert_to_numpy=True,
                normalize_embeddings=self._config["normalize_embeddings"],
                show_progress_bar=False,
                **({} if prompt is None else {"prompt_name": prompt}),
            )

    def _model(self) -> Any:
        arguments = (self._config["model_name"], self._config["device"], self._config["kwargs"])
        key = json.dumps(arguments, sort_keys=True, default=id)
        if key not in _models:
            package = require(_PACKAGE, _EXTRA, _SOURCE)
            name, device, kwargs = arguments
            _models[key] = package.SentenceTransformer(model_name_or_path=name, device=device, **kwargs)
        return _models[key]

    @staticmethod
    def name() -> str:
        return "sentence_transformer"

    def is_legacy(self) -> bool:
        """Whether `kwargs` contain values that a configuration cannot store."""
        return not is_plain(self.get_config())

    def get_config(self) -> dict[str, Any]:
        public = {name: value for name, value in self._config["kwargs"].items() if not is_secret_name(name)}
        return self._config | {"kwargs": public}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> SentenceTransformerEmbeddingFunction:
        kwargs = config.get("kwargs") or {}
        check_stored_arguments(_SOURCE, kwargs)
        function = SentenceTransformerEmbeddingFunction.__new__(SentenceTransformerEmbeddingFunction)
        function._set(
            config["model_name"],
            config.get("device", "cpu"),
            config.get("normalize_embeddings", False),
            dict(kwargs),
        )
        return function

    def default_space(self) -> Space:
        return "cosine"

    @staticmethod
    def validate_config(config: dict[str, Any]) -> None:
        _FORM.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        _FORM.check_update(old_config, new_config)


def check_stored_arguments(source: str, kwargs: Mapping[str, Any]) -> None:
    """Raise InvalidArgumentError if a stored configuration has an argument that may run or download code."""
    if unknown := sorted(set(kwargs) - set(_STORED_ARGUMENTS)):
        raise InvalidArgumentError(
            f"{source}: the stored configuration has the arguments {unknown}, which are taken from a "
            "program only: pass the function as `embedding_function=`."
        )


_models: dict[str, Any] = {}
_using = threading.Lock()


def _renew() -> None:
    """Replace the lock in a forked child, because a thread of the parent may have held it during the fork."""
    global _using
    _using = threading.Lock()


os.register_at_fork(after_in_child=_renew)
