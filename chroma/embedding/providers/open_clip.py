"""Local CLIP models that the package open-clip-torch runs, for texts and images in one space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.config_schema import MAYBE_TEXT, TEXT, Form
from ..core.configured import ConfiguredLocally
from ..core.images import as_image, texts_and_images
from ..core.local_models import using
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "OpenCLIPEmbeddingFunction"


class _Loaded(NamedTuple):
    model: Any
    preprocess: Any
    tokenizer: Any
    torch: Any


class OpenCLIPEmbeddingFunction(ConfiguredLocally, EmbeddingFunction[Any]):
    """Local CLIP models. Embeds texts and images (arrays). Needs the packages open-clip-torch and pillow.

    model_name  the architecture, for example "ViT-B-32"
    checkpoint  its weights, which the package downloads at first use, or a file
    device      "cpu", "cuda", …
    Vectors have length 1.
    """

    __module__ = "chroma.utils.embedding_functions"

    _package = "open_clip"
    _distribution = "open-clip-torch"
    _form = Form(
        "open_clip",
        {"model_name": TEXT, "checkpoint": TEXT, "device": MAYBE_TEXT},
        needed=("model_name", "checkpoint"),
        fixed=("model_name", "checkpoint"),
    )

    def __init__(
        self,
        model_name: str = "ViT-B-32",
        checkpoint: str = "laion2b_s34b_b79k",
        device: str | None = "cpu",
    ) -> None:
        self._need_package()
        self._set({"model_name": model_name, "checkpoint": checkpoint, "device": device})

    def __call__(self, input: Any) -> Vectors:
        items = texts_and_images(input)
        with using(_SOURCE, self._config, self._load) as loaded, loaded.torch.no_grad():
            return [self._embed(loaded, item) for item in items]

    def _embed(self, loaded: _Loaded, item: Any) -> Any:
        device = self._config["device"]
        if isinstance(item, str):
            features = loaded.model.encode_text(loaded.tokenizer([item]).to(device))
        else:
            pixels = loaded.preprocess(as_image(item, _SOURCE))
            features = loaded.model.encode_image(pixels.unsqueeze(0).to(device))
        features = features / features.norm(dim=-1, keepdim=True)
        return features.squeeze(0).cpu().numpy()

    def _load(self) -> _Loaded:
        package, name = self._import(self._package), self._config["model_name"]
        model, _, preprocess = package.create_model_and_transforms(
            model_name=name, pretrained=self._config["checkpoint"]
        )
        model.to(self._config["device"])
        return _Loaded(model, preprocess, package.get_tokenizer(model_name=name), self._import("torch"))
