"""Sends JSON requests to embedding providers over HTTP, and retries a request while that is useful.

Retries follow status 429, status 5xx and failed connections; they are safe because embedding changes
nothing at the provider. Other errors and timeouts are not retried, because they would occur again.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from time import sleep
from typing import TYPE_CHECKING, Any

from ...errors import (
    AuthorizationError,
    ChromaError,
    InvalidArgumentError,
    QuotaError,
    RateLimitError,
    ServerConnectionError,
    ServerTimeoutError,
)
from .api_keys import Key, check_host
from .inputs import TooLargeError, says_too_large

if TYPE_CHECKING:
    import httpx

TIMEOUT = 60.0
RETRIES = 5
LONGEST_WAIT = 60.0
"""Seconds. A provider that asks for more is out of quota rather than busy: its caller should know at once."""

_CONNECT_TIMEOUT = 10.0
_FIRST_WAIT = 0.5
_SHOWN = 400  # maximum characters shown of a provider's message


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address to which one function sends its requests.

    source   the name of the function's class, for messages
    header   the header that carries the key, which follows `scheme`
    headers  further headers
    custom   whether the user chose `url`, instead of the provider's own address
    timeout  maximum seconds without a byte from the provider
    retries  maximum number of retries of a request
    """

    __module__ = "chroma.embedding"

    source: str
    url: str
    key: Key | None = None
    header: str = "Authorization"
    scheme: str = "Bearer "
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    custom: bool = False
    timeout: float = TIMEOUT
    retries: int = RETRIES

    def post(self, body: Mapping[str, Any]) -> Any:
        """Send `body` and return the JSON response.

        Raises InvalidArgumentError if the provider rejects the request (TooLargeError if it is too large),
        AuthorizationError if it rejects the key, RateLimitError, QuotaError, ServerTimeoutError,
        ServerConnectionError, and ChromaError for all other errors.
        """
        if self.key is not None and self.key.value() is not None and self.custom and self.key.stored:
            check_host(self.source, self.url)
        content = json.dumps(body, ensure_ascii=False).encode()
        attempt = 0
        while True:
            answer = self._once(content)
            if not isinstance(answer, _Failure):
                return answer
            if not answer.passing or attempt >= self.retries:
                raise answer.error(self.source, attempt)
            wait = answer.wait if answer.wait is not None else _pause(attempt)
            if wait > LONGEST_WAIT:
                raise answer.error(self.source, attempt, f"asks to wait {wait:.0f} s")
            sleep(wait)
            attempt += 1

    def _once(self, content: bytes) -> Any:
        import httpx

        def sign(request: httpx.Request) -> httpx.Request:
            # the key is not kept in a variable, because some tracebacks show local variables
            if self.key is not None and self.key.value() is not None:
                request.headers.setdefault(self.header, f"{self.scheme}{self.key.value()}")
            return request

        try:
            response = _client().post(
                self.url,
                content=content,
                headers={"Content-Type": "application/json", "Accept": "application/json", **self.headers},
                auth=sign,
                timeout=httpx.Timeout(self.timeout, connect=min(_CONNECT_TIMEOUT, self.timeout)),
                follow_redirects=False,  # the key is sent to the configured address only
            )
        except (
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.NetworkError,
            httpx.RemoteProtocolError,
        ) as error:
            return _Failure(0, _without(self.key, _described(error, self.url)), None, True)
        except httpx.TimeoutException:
            return _Failure(-1, f"no answer from {self.url} within {self.timeout:g} s", None, False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _Failure(0, _without(self.key, _described(error, self.url)), None, False)
        return _read(response, self.key)


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failed request.

    status   the HTTP status; 0: no connection, -1: no answer in time
    wait     seconds to wait, if the provider states them
    passing  whether the same request may succeed later
    """

    status: int
    message: str
    wait: float | None
    passing: bool

    def error(self, source: str, attempt: int, reason: str = "") -> ChromaError:
        tries = f", after {attempt + 1} attempts" if attempt else ""
        status = f"HTTP {self.status}" if self.status > 0 else ""
        detail = ", ".join(part for part in (status, reason) if part) + tries
        text = f"{source}: {self.message}" + (f" ({detail.removeprefix(', ')})" if detail else "")
        if self.status == 429:
            return (RateLimitError if self.passing else QuotaError)(text)
        if self.status in (401, 403):
            return AuthorizationError(f"{text}. Check the key, and what it may use.")
        if self.status == 0:
            return ServerConnectionError(text)
        if self.status == -1:
            return ServerTimeoutError(f"{text}. A larger `timeout` gives it more.")
        if says_too_large(self.status, self.message):
            return TooLargeError(text)
        return (InvalidArgumentError if 400 <= self.status < 500 else ChromaError)(text)


def _read(response: httpx.Response, key: Key | None) -> Any:
    status = response.status_code
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    if status == 200 and body is not None:
        return body
    if status == 200:
        return _Failure(200, "the answer is not JSON", None, False)
    if 300 <= status < 400:
        where = response.headers.get("location", "another address")
        return _Failure(status, _without(key, f"the provider redirects to {where}"), None, False)
    message = _without(key, _message(body, response))[:_SHOWN]
    spent = status == 429 and "insufficient_quota" in response.text
    passing = not spent and (status == 429 or (status >= 500 and status not in (501, 505)))
    return _Failure(status, message, _retry_seconds(response, body), passing)


def _message(body: Any, response: httpx.Response) -> str:
    """Return the provider's error message, from the fields that providers use for it."""
    found = body
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    if isinstance(found, dict | list) or not found:
        found = response.text.strip() or response.reason_phrase
    return str(found)


def _retry_seconds(response: httpx.Response, body: Any) -> float | None:
    """Return the seconds that the provider asks the client to wait, from a header or from the body."""
    for header, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (seconds := _seconds(response.headers.get(header))) is not None:
            return seconds * unit
    if isinstance(body, dict):
        if (seconds := _seconds(body.get("estimated_time"))) is not None:  # the provider is loading the model
            return seconds
        if match := re.search(r'"retryDelay":\s*"([\d.]+)s"', response.text):
            return _seconds(match[1])
    return None


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value)
        return None if math.isnan(seconds) else max(0.0, seconds)
    except (TypeError, ValueError):
        pass  # the value may be a date
    try:
        return max(0.0, parsedate_to_datetime(str(value)).timestamp() - time.time())
    except ValueError:
        return None


def _pause(attempt: int) -> float:
    """Return a wait that doubles with each attempt, shortened at random to spread the clients' retries."""
    return min(LONGEST_WAIT, _FIRST_WAIT * 2.0**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - not secret


def _described(error: Exception, url: str) -> str:
    return f"no connection to {url}: {error or type(error).__name__}"


def _without(key: Key | None, text: str) -> str:
    """Remove the key from a provider's text, because some providers repeat it."""
    secret = key.value() if key is not None else None
    return text.replace(secret, "[key]") if secret else text


_clients: dict[int, httpx.Client] = {}


def _client() -> httpx.Client:
    """Return the connection pool that all functions of the process share. A forked child creates its own."""
    import httpx

    client = _clients.get(os.getpid())
    if client is None:
        client = _clients.setdefault(os.getpid(), httpx.Client())
    return client


def _close() -> None:
    client = _clients.pop(os.getpid(), None)
    if client is not None:
        client.close()


atexit.register(_close)
