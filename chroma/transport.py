"""One server over HTTP: requests out, JSON or an exception back.

Owns: the connection pool, one per process, so that a forked child opens connections of its
own; time limits; what is repeated and after how long; errors of the network and of the
server as those of `chroma.errors`. Knows nothing of routes.
"""

from __future__ import annotations

import json
import os
import random
import time
import weakref
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit, urlunsplit

import httpx

from . import errors, wire
from .address import base_url, headers_for
from .columns import shown
from .config import Settings

# Before the second, third, … attempt, in seconds; each is varied by half, so that clients
# that were cut off together do not come back together.
_PAUSES = (0.1, 0.3, 0.9, 2.0, 4.0)
_LONGEST_PAUSE = 30.0  # whatever a server asks for in Retry-After

_BUSY = (429, 502, 503)
_CLOSED = "this client was closed; open a new one"
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BROKEN = (httpx.NetworkError, httpx.RemoteProtocolError)


class Transport:
    """Sends requests to the server that the settings name. Threads may share it.

    Raises InvalidArgumentError for settings that make no URL or no headers.
    """

    def __init__(self, settings: Settings) -> None:
        self._base = base_url(settings)
        self._headers = headers_for(settings)
        self._retries = settings.chroma_http_retries
        self._options = _options(settings, self._base.startswith("https"))
        self._pools: dict[int, httpx.Client] = {}  # by process; a parent's is kept, but never used
        self._closed = False
        self._release = weakref.finalize(self, _close, self._pools)

    @property
    def url(self) -> str:
        """Where the server is, without credentials, as messages show it."""
        parts = urlsplit(self._base)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def close(self) -> None:
        """Close the connections of this process. May be called again."""
        self._closed = True
        self._release()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, int] | None = None,
        repeatable: bool = False,
    ) -> Any:
        """The JSON of the answer. `body` is a JSON value, or bytes that hold one.

        repeatable  two such requests do what one does, as every GET. Others are sent again only
                    when they surely did not reach the server
        Raises the class that the server names, ServerConnectionError, ServerTimeoutError.
        """
        content = body if body is None or isinstance(body, bytes) else encode(body)
        return self._answer(self._send(method, path, content, query, repeatable or method == "GET"))

    def _send(
        self, method: str, path: str, content: bytes | None, query: dict[str, int] | None, repeatable: bool
    ) -> httpx.Response:
        attempt = 0
        while True:
            try:
                response = self._request(method, path, content, query)
            except _NOT_SENT as error:
                self._pause_or_raise(attempt, error)
            except _BROKEN as error:
                self._pause_or_raise(attempt if repeatable else self._retries, error)
            except httpx.TimeoutException as error:
                self._fail(error)  # the server may still be at it: no second request
            except httpx.HTTPError as error:
                self._fail(error)
            else:
                busy = response.status_code in _BUSY and (repeatable or response.status_code == 429)
                if not busy or attempt >= self._retries:
                    return response
                time.sleep(_pause(attempt, response.headers.get("Retry-After")))
            attempt += 1

    def _request(
        self, method: str, path: str, content: bytes | None, query: dict[str, int] | None
    ) -> httpx.Response:
        if self._closed:
            raise errors.ClosedError(_CLOSED)
        pool = self._pools.get(os.getpid())
        if pool is None:  # of two threads that both make one, the first to put it there wins
            made = httpx.Client(headers=self._headers, **self._options)
            pool = self._pools.setdefault(os.getpid(), made)
        headers = {} if content is None else {"Content-Type": "application/json"}
        try:
            return pool.request(method, self._base + path, content=content, params=query, headers=headers)
        except RuntimeError as error:
            if not self._closed:
                raise
            raise errors.ClosedError(_CLOSED) from error

    def _pause_or_raise(self, attempt: int, error: httpx.HTTPError) -> None:
        if attempt >= self._retries:
            self._fail(error)
        time.sleep(_pause(attempt, None))

    def _fail(self, error: httpx.HTTPError) -> NoReturn:
        reason = str(error) or type(error).__name__
        if isinstance(error, _NOT_SENT):
            raise errors.ServerConnectionError(
                f"Could not connect to a Chroma server. Are you sure it is running at {self.url}? ({reason})"
            ) from error
        if isinstance(error, httpx.TimeoutException):
            raise errors.ServerTimeoutError(
                f"no answer from {self.url} in time ({type(error).__name__}); the call may still take "
                "effect. Settings(chroma_http_timeout_secs=…) sets the limit"
            ) from error
        raise errors.ServerConnectionError(
            f"the connection to {self.url} broke: {reason}; the call may have taken effect"
        ) from error

    def _answer(self, response: httpx.Response) -> Any:
        if response.is_success:
            try:
                return json.loads(response.content)
            except ValueError:
                raise errors.ServerConnectionError(
                    f"{self.url} does not answer as a Chroma server: expected JSON, "
                    f"got {shown(response.text)} from {response.request.url.path}"
                ) from None
        raise error_of(response)


def error_of(response: httpx.Response) -> Exception:
    """The exception for an answer that is not a success.

    A name that is not on the wire's list, or a text that is no JSON, gives a plain Exception
    with what the server said; an answer without a body is told by its status.
    """
    text = response.text
    try:
        body = json.loads(text) if text else None
    except ValueError:
        return Exception(text)
    named = body is not None and body != {}
    if named and not wire.is_known_error(body):
        return Exception(text)
    return wire.error_from_json(response.status_code, body, response.headers.get("chroma-trace-id"))


def encode(body: Any) -> bytes:
    """A JSON value as bytes. The values were checked: there is no NaN among them."""
    return json.dumps(body, allow_nan=False, separators=(",", ":")).encode("ascii")


def segment(name: str) -> str:
    """A name as one segment of a path, whatever it holds."""
    if not name:
        raise errors.NotFoundError("nothing has the empty name ''")
    try:
        quoted = quote(name, safe="")
    except UnicodeEncodeError:
        raise errors.InvalidArgumentError(f"the name {shown(name)} is not valid Unicode") from None
    return quoted.replace(".", "%2E") if set(quoted) == {"."} else quoted  # ".." would climb


def _options(settings: Settings, secure: bool) -> dict[str, Any]:
    """The settings as the pool takes them."""
    connect, whole = settings.chroma_http_connect_timeout_secs, settings.chroma_http_timeout_secs
    verify = settings.chroma_server_ssl_verify
    context: Any = secure and verify is not False  # reading the certificates takes time
    if secure and isinstance(verify, str):
        import ssl

        context = ssl.create_default_context(cafile=verify)
    return {
        "timeout": httpx.Timeout(whole, connect=connect, pool=None),
        "limits": httpx.Limits(
            max_connections=settings.chroma_http_max_connections,
            max_keepalive_connections=settings.chroma_http_max_keepalive_connections,
            keepalive_expiry=settings.chroma_http_keepalive_secs,
        ),
        "verify": context,
    }


def _pause(attempt: int, wish: str | None) -> float:
    """How long to wait: what the server wishes, else a growing, varied time."""
    if wish is not None and wish.isdecimal():
        return min(float(wish), _LONGEST_PAUSE)
    return _PAUSES[min(attempt, len(_PAUSES) - 1)] * random.uniform(0.5, 1.5)


def _close(pools: dict[int, httpx.Client]) -> None:
    pool = pools.get(os.getpid())
    if pool is not None:
        pool.close()
