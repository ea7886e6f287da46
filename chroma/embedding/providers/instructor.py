"""Local Instructor models, which take an instruction with each text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.config_schema import MAYBE_TEXT, TEXT, Form
from ..core.configured import ConfiguredLocally
from ..core.inputs import checked
from ..core.local_models import using
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "InstructorEmbeddingFunction"


class InstructorEmbeddingFunction(ConfiguredLocally, EmbeddingFunction[list[str]]):
    """Local Instructor models. Needs the package InstructorEmbedding.

    model_name   a model that the package downloads at first use, or a folder
    device       "cpu", "cuda", …
    instruction  the purpose of the vectors, as the model expects it; None: no instruction
    """

    __module__ = "chroma.utils.embedding_functions"

    _package = _distribution = "InstructorEmbedding"
    _form = Form(
        "instructor",
        {"model_name": TEXT, "device": TEXT, "instruction": MAYBE_TEXT},
        needed=("model_name",),
        fixed=("instruction",),
    )

    def __init__(
        self,
        model_name: str = "hkunlp/instructor-base",
        device: str = "cpu",
        instruction: str | None = None,
    ) -> None:
        self._need_package()
        self._set({"model_name": model_name, "device": device, "instruction": instruction})

    def __call__(self, input: list[str]) -> Vectors:
        texts: list[Any] = checked(input)
        instruction = self._config["instruction"]
        if instruction is not None:
            texts = [[instruction, text] for text in texts]
        settings = [self._config["model_name"], self._config["device"]]
        with using(_SOURCE, settings, self._load) as model:
            return model.encode(texts, convert_to_numpy=True)  # type: ignore[no-any-return]

    def _load(self) -> Any:
        package = self._import(self._package)
        return package.INSTRUCTOR(
            model_name_or_path=self._config["model_name"], device=self._config["device"]
        )
