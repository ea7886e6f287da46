"""Deployments on Baseten, which speak OpenAI's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..core.api_keys import Key, check_url
from ..core.config_schema import TEXT, Form
from ..core.configured import Configured
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction
from .openai import read_data

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "BasetenEmbeddingFunction"
_VARIABLES = ("CHROMA_BASETEN_API_KEY", "BASETEN_API_KEY")
_OWN_HOSTS = (".baseten.co",)
_MODEL = "baseten-embedding-model"  # a deployment has one model and ignores the name
_LIMIT = 128  # texts per request


class BasetenEmbeddingFunction(Configured, EmbeddingFunction[list[str]]):
    """A model that is deployed on Baseten. The deployment determines the model.

    api_key          never stored; None: CHROMA_BASETEN_API_KEY, else BASETEN_API_KEY
    api_base         URL of the deployment, up to and with `/v1`
    api_key_env_var  the environment variable with the key; its name is stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 128 texts per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form("baseten", {"api_base": TEXT, "api_key_env_var": TEXT}, needed=("api_base",), fixed=())

    def __init__(
        self,
        api_key: str | None,
        api_base: str,
        api_key_env_var: str = _VARIABLES[0],
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        base = check_url(_SOURCE, "api_base", api_base)
        self._set({"api_base": base, "api_key_env_var": api_key_env_var})
        self._endpoint = Endpoint(
            _SOURCE,
            f"{base}/embeddings",
            Key(_SOURCE, api_key, api_key_env_var, _VARIABLES),
            custom=not (urlsplit(base).hostname or "").endswith(_OWN_HOSTS),
            timeout=timeout,
            retries=max_retries,
        )

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(input, self._send, source=_SOURCE, limit=_LIMIT)  # type: ignore[return-value]

    def _send(self, texts: list[str]) -> list[Any]:
        body = {"model": _MODEL, "input": texts, "encoding_format": "float"}
        return read_data(self._endpoint.post(body), _SOURCE)
