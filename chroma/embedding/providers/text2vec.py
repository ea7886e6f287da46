"""Local models that the package text2vec runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.config_schema import TEXT, Form
from ..core.configured import ConfiguredLocally
from ..core.inputs import checked
from ..core.local_models import using
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "Text2VecEmbeddingFunction"


class Text2VecEmbeddingFunction(ConfiguredLocally, EmbeddingFunction[list[str]]):
    """Local models of text2vec. Needs the package text2vec.

    model_name  a model that the package downloads at first use, or a folder
    """

    __module__ = "chroma.utils.embedding_functions"

    _package = _distribution = "text2vec"
    _form = Form("text2vec", {"model_name": TEXT}, needed=("model_name",), fixed=())

    def __init__(self, model_name: str = "shibing624/text2vec-base-chinese") -> None:
        self._need_package()
        self._set({"model_name": model_name})

    def __call__(self, input: list[str]) -> Vectors:
        texts = checked(input)
        with using(_SOURCE, self._config, self._load) as model:
            return model.encode(texts, convert_to_numpy=True)  # type: ignore[no-any-return]

    def _load(self) -> Any:
        return self._import(self._package).SentenceModel(model_name_or_path=self._config["model_name"])
