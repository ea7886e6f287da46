"""Perplexity's embedding models."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import ChromaError
from ..core.api_keys import Key
from ..core.config_schema import MAYBE_INT, TEXT, Form
from ..core.configured import Configured
from ..core.http import RETRIES, TIMEOUT, Endpoint
from ..core.inputs import in_batches
from ..core.protocol import EmbeddingFunction

if TYPE_CHECKING:
    from ..core.protocol import Vectors

_SOURCE = "PerplexityEmbeddingFunction"
_URL = "https://api.perplexity.ai/v1/embeddings"
_VARIABLES = ("PERPLEXITY_API_KEY",)
_LIMIT = 512  # texts per request
_TOKENS = 120_000  # tokens per request


class PerplexityEmbeddingFunction(Configured, EmbeddingFunction[list[str]]):
    """Perplexity's models. Their vectors have whole numbers from -128 to 127.

    api_key          never stored; default: PERPLEXITY_API_KEY
    model_name       for example "pplx-embed-v1-0.6b"
    api_key_env_var  the environment variable with the key; its name is stored
    dimensions       length of the vectors; None: the model's
    timeout, max_retries  seconds to wait for a response; retries per request. Not stored
    Sends at most 512 texts and about 120,000 tokens per request. Raises InvalidArgumentError without a key.
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form(
        "perplexity",
        {"api_key_env_var": TEXT, "model_name": TEXT, "dimensions": MAYBE_INT},
        needed=("model_name",),
        fixed=("model_name", "dimensions"),
    )

    def __init__(
        self,
        api_key: str | None = None,
        model_name: str = "pplx-embed-v1-0.6b",
        api_key_env_var: str = _VARIABLES[0],
        dimensions: int | None = None,
        *,
        timeout: float = TIMEOUT,
        max_retries: int = RETRIES,
    ) -> None:
        self._set({"api_key_env_var": api_key_env_var, "model_name": model_name, "dimensions": dimensions})
        key = Key(_SOURCE, api_key, api_key_env_var, _VARIABLES)
        self._endpoint = Endpoint(_SOURCE, _URL, key, timeout=timeout, retries=max_retries)

    def __call__(self, input: list[str]) -> Vectors:
        return in_batches(  # type: ignore[return-value]
            input, self._send, source=_SOURCE, limit=_LIMIT, tokens=_TOKENS
        )

    def _send(self, texts: list[str]) -> list[Any]:
        body = {"model": self._config["model_name"], "input": texts, "encoding_format": "base64_int8"}
        if self._config["dimensions"] is not None:
            body["dimensions"] = self._config["dimensions"]
        answer = self._endpoint.post(body)
        rows = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise ChromaError(f"{_SOURCE}: the answer has no `data` with an `embedding` each.")
        if all("index" in row for row in rows):
            rows = sorted(rows, key=lambda row: int(row["index"]))
        try:
            return [decode_embedding(row["embedding"]) for row in rows]
        except (KeyError, TypeError, binascii.Error, ValueError) as error:
            raise ChromaError(f"{_SOURCE}: a vector of the answer is not base64 of int8: {error}.") from error


def decode_embedding(b64_string: str) -> Any:
    """Return the numbers of a vector that is sent as signed bytes in base64."""
    import numpy as np

    return np.frombuffer(base64.b64decode(b64_string, validate=True), np.int8).astype(np.float32)
