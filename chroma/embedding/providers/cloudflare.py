"""Models that Cloudflare Workers AI hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import ChromaError
from ..core.api_keys import Key, as_path
from ..core.config_schema import MAYBE_TEXT, TEXT, Form
from ..core.configured import Configured
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "CloudflareWorkersAIEmbeddingFunction"
BASE_URL = "https://api.cloudflare.com/client/v4/accounts"
GATEWAY_BASE_URL = "https://gateway.ai.cloudflare.com/v1"
_VARIABLES = ("CHROMA_CLOUDFLARE_API_KEY", "CLOUDFLARE_API_KEY")
_LIMIT = 100  # texts per request


class CloudflareWorkersAIEmbeddingFunction(Configured, EmbeddingFunction[list[str]]):
    """Models that Cloudflare Workers AI hosts.

    model_name       for example "@cf/baai/bge-base-en-v1.5"
    account_id       the account of Cloudflare
    api_key          never stored; default: CHROMA_CLOUDFLARE_API_KEY, else CLOUDFLARE_API_KEY
    api_key_env_var  the environment variable with the key; its name is stored
    gateway_id       the AI gateway that the requests go through; None: none
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 100 texts per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form(
        "cloudflare_workers_ai",
        {"api_key_env_var": TEXT, "model_name": TEXT, "account_id": TEXT, "gateway_id": MAYBE_TEXT},
        needed=("model_name", "account_id"),
        fixed=("model_name",),
    )

    def __init__(
        self,
        model_name: str,
        account_id: str,
        api_key: str | None = None,
        api_key_env_var: str = _VARIABLES[0],
        gateway_id: str | None = None,
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._set(
            {
                "api_key_env_var": api_key_env_var,
                "model_name": model_name,
                "account_id": account_id,
                "gateway_id": gateway_id,
            }
        )
        model = as_path(_SOURCE, "model_name", model_name).replace("%40", "@")
        account = as_path(_SOURCE, "account_id", account_id)
        url = f"{BASE_URL}/{account}/ai/run/{model}"
        if gateway_id:
            gateway = as_path(_SOURCE, "gateway_id", gateway_id)
            url = f"{GATEWAY_BASE_URL}/{account}/{gateway}/workers-ai/{model}"
        key = Key(_SOURCE, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = Endpoint(_SOURCE, url, key, timeout=timeout, retries=max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(input, self._send, source=_SOURCE, limit=_LIMIT)  # type: ignore[return-value]

    def _send(self, texts: list[str]) -> list[Any]:
        answer = self._endpoint.post({"text": texts})
        result = answer.get("result") if isinstance(answer, Mapping) else None
        vectors = result.get("data") if isinstance(result, Mapping) else None
        if not isinstance(vectors, list):
            raise ChromaError(f"{_SOURCE}: the answer has no `result` with `data`.")
        return vectors
