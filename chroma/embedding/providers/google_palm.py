"""The embedding models of Google's PaLM API, which Google has replaced by Gemini."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import ChromaError
from ..core.api_keys import Key, as_path
from ..core.config_schema import TEXT, Form
from ..core.configured import Configured
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "GooglePalmEmbeddingFunction"
_BASE = "https://generativelanguage.googleapis.com/v1beta2"
_VARIABLES = ("CHROMA_GOOGLE_PALM_API_KEY", "GOOGLE_API_KEY")


class GooglePalmEmbeddingFunction(Configured, EmbeddingFunction[list[str]]):
    """Models of the PaLM API, for collections that were made with them.

    Google has ended this API. Use GoogleGeminiEmbeddingFunction for new collections.
    api_key          never stored; default: CHROMA_GOOGLE_PALM_API_KEY, else GOOGLE_API_KEY
    model_name       for example "models/embedding-gecko-001"
    api_key_env_var  the environment variable with the key; its name is stored
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends one text per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form(
        "google_palm",
        {"api_key_env_var": TEXT, "model_name": TEXT},
        needed=("model_name",),
        fixed=("model_name",),
    )

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "models/embedding-gecko-001",
        api_key_env_var: str = _VARIABLES[0],
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._set({"api_key_env_var": api_key_env_var, "model_name": model_name})
        path = as_path(_SOURCE, "model_name", model_name.removeprefix("models/"))
        self._endpoint = Endpoint(
            _SOURCE,
            f"{_BASE}/models/{path}:embedText",
            Key(_SOURCE, api_key, api_key_env_var, _VARIABLES),
            header="x-goog-api-key",
            scheme="",
            timeout=timeout,
            retries=max_retries,
        )

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(input, self._send, source=_SOURCE, limit=1)  # type: ignore[return-value]

    def _send(self, texts: list[str]) -> list[Any]:
        answer = self._endpoint.post({"text": texts[0]})
        found = answer.get("embedding") if isinstance(answer, Mapping) else None
        if not isinstance(found, Mapping) or "value" not in found:
            raise ChromaError(f"{_SOURCE}: the answer has no `embedding` with a `value`.")
        return [found["value"]]
