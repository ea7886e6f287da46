"""CLIP on Roboflow's servers, for texts and images in one space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...errors import ChromaError
from ..core.api_keys import Key, check_url
from ..core.config_schema import TEXT, Form
from ..core.configured import Configured
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.images import as_jpeg, texts_and_images
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "RoboflowEmbeddingFunction"
_URL = "https://infer.roboflow.com"
_VARIABLES = ("CHROMA_ROBOFLOW_API_KEY", "ROBOFLOW_API_KEY")
_OWN_HOSTS = (".roboflow.com",)
_LIMIT = 32  # texts per request


class RoboflowEmbeddingFunction(Configured, EmbeddingFunction[Any]):
    """The model CLIP on a server of Roboflow. Embeds texts, and images as arrays, which need pillow.

    api_key          never stored; default: CHROMA_ROBOFLOW_API_KEY, else ROBOFLOW_API_KEY
    api_url          URL of Roboflow's or of your own inference server
    api_key_env_var  the environment variable with the key; its name is stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 32 texts, or one image, per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form("roboflow", {"api_key_env_var": TEXT, "api_url": TEXT}, needed=("api_url",), fixed=())

    def __init__(
        self,
        api_key: str | None = None,
        api_url: str = _URL,
        api_key_env_var: str = _VARIABLES[0],
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        url = check_url(_SOURCE, "api_url", api_url)
        self._set({"api_key_env_var": api_key_env_var, "api_url": url})
        self._texts = Endpoint(
            _SOURCE,
            f"{url}/clip/embed_text",
            Key(_SOURCE, api_key, api_key_env_var, _VARIABLES),
            custom=not (urlsplit(url).hostname or "").endswith(_OWN_HOSTS),
            timeout=timeout,
            retries=max_retries,
        )
        self._images = replace(self._texts, url=f"{url}/clip/embed_image")

    def __call__(self, input: Any) -> Vectors:
        items = texts_and_images(input)
        texts = [item for item in items if isinstance(item, str)]
        made = iter(in_batches(texts, self._send, source=_SOURCE, limit=_LIMIT) if texts else ())
        return [next(made) if isinstance(item, str) else self._image(item) for item in items]

    def _send(self, texts: list[str]) -> list[Any]:
        return self._read(self._texts.post({"text": texts}))

    def _image(self, pixels: Any) -> Any:
        vectors = self._read(
            self._images.post({"image": {"type": "base64", "value": as_jpeg(pixels, _SOURCE)}})
        )
        if len(vectors) != 1:
            raise ChromaError(f"{_SOURCE}: the provider answered with {len(vectors)} vectors for one image.")
        return vectors[0]

    @staticmethod
    def _read(answer: Any) -> list[Any]:
        vectors = answer.get("embeddings") if isinstance(answer, Mapping) else None
        if not isinstance(vectors, list):
            raise ChromaError(f"{_SOURCE}: the answer has no `embeddings`.")
        return vectors
