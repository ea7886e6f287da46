# Made from chroma/_async/http_transport.py by scripts/twins.py: change that file, and run `make fix`.
"""One server over HTTP: requests out, answers or exceptions back.

Owns: the connection pools, and the loop that repeats. What is repeated, and what the outcomes
mean, is in `chroma.http.retry_policy`. Knows nothing of routes.
"""

from __future__ import annotations

from collections.abc import Iterator, Callable, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import httpx

from ..config import Settings
from ..errors import ClosedError, ServerConnectionError
from ..http.connection_pool import Connections
from ..http.connection_settings import base_url, headers_for
from ..http.retry_policy import (
    JSON_TYPE,
    encode,
    error_of,
    network_error,
    network_errors,
    pause,
    pool_options,
    read_json,
    shown_url,
    worth_repeating,
)
from ..internal.concurrency import Content, Pools, bulk, chunks

T = TypeVar("T")

_BYTES_PER_RECORD = 1000  # of JSON, to guess whether parsing it takes long


class Transport:
    """Sends requests to the server that the settings name. Threads and tasks may share it.

    Raises InvalidArgumentError for settings that make no URL or no headers.
    """

    def __init__(self, settings: Settings) -> None:
        self._base = base_url(settings)
        self._retries = settings.chroma_http_retries
        options = pool_options(settings, self._base.startswith("https"))
        self._pools = Pools(partial(_Pool, headers_for(settings), options))
        self.url = shown_url(self._base)  # where the server is, as messages show it

    def close(self) -> None:
        """Close the connections. May be called again."""
        self._pools.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, int] | None = None,
        repeatable: bool = False,
        read: Callable[[Any], T] | None = None,
    ) -> Any:
        """The JSON of the answer, or what `read` makes of it. `body` is a JSON value, or bytes that hold one.

        repeatable  two such requests do what one does, as every GET. Others are sent again only
                    when they surely did not reach the server
        Raises the class that the server names, ServerConnectionError, ServerTimeoutError.
        """
        content = body if body is None or isinstance(body, bytes) else encode(body)
        response = self.send(method, path, content, query=query, repeatable=repeatable)

        def parse() -> Any:
            value = read_json(response, self.url)
            return value if read is None else read(value)

        return bulk(len(response.content) // _BYTES_PER_RECORD, parse)

    def send(
        self,
        method: str,
        path: str,
        content: Content | None = None,
        *,
        content_type: str = JSON_TYPE,
        accept: str | None = None,
        query: dict[str, int] | None = None,
        repeatable: bool = False,
    ) -> httpx.Response:
        """The answer, if it is a success, read to its end. Errors and repetition as for `call`.

        content  the body, or its parts, which go out as they come. If they are an iterator, the request
                 is not repeated once the first of them was taken
        accept   the media type wanted, where it is not JSON
        """
        headers = _headers(content, content_type, accept)
        response = self._attempts(
            method, path, content, headers=headers, query=query, repeatable=repeatable, stream=False
        )
        if not response.is_success:
            raise error_of(response)
        return response

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        content: Content | None = None,
        *,
        content_type: str = JSON_TYPE,
        accept: str | None = None,
        query: dict[str, int] | None = None,
        repeatable: bool = False,
    ) -> Iterator[httpx.Response]:
        """The answer, if it is a success, with its body still to be read, within the block.

        As `send` otherwise; what breaks while the body is read is mapped, but not repeated.
        """
        headers = _headers(content, content_type, accept)
        response = self._attempts(
            method, path, content, headers=headers, query=query, repeatable=repeatable, stream=True
        )
        try:
            with network_errors(self.url):
                if not response.is_success:
                    response.read()
                    raise error_of(response)
                yield response
        except (ServerConnectionError, RuntimeError) as error:
            self._check_open(error)
            raise
        finally:
            response.close()

    def _attempts(
        self,
        method: str,
        path: str,
        content: Content | None,
        *,
        headers: dict[str, str],
        query: dict[str, int] | None,
        repeatable: bool,
        stream: bool,
    ) -> httpx.Response:
        body = content if content is None or isinstance(content, bytes) else _Parts(content)
        repeatable = repeatable or method == "GET"
        attempt = 0
        while True:
            outcome: httpx.Response | httpx.HTTPError
            pool = self._pools.get()
            try:
                outcome = pool.send(
                    method, self._base + path, body, headers=headers, query=query, stream=stream
                )
            except httpx.HTTPError as error:
                self._check_open(error)
                outcome = error
            except RuntimeError as error:
                self._check_open(error)
                raise
            spent = attempt >= self._retries or (isinstance(body, _Parts) and body.begun)
            if spent or not worth_repeating(outcome, repeatable):
                if isinstance(outcome, httpx.Response):
                    return outcome
                raise network_error(outcome, self.url) from outcome
            if isinstance(outcome, httpx.Response):
                outcome.close()
            pool.pause(pause(attempt, outcome))
            attempt += 1

    def _check_open(self, error: Exception) -> None:
        """Raise ClosedError for what went wrong since the client was closed."""
        if self._pools.closed:
            raise ClosedError("this client was closed while it waited for an answer") from error


class _Pool:
    """The connections of one process, or event loop."""

    def __init__(self, headers: Mapping[str, str], options: Mapping[str, Any]) -> None:
        self._client = httpx.Client(headers=headers, **options)
        self._connections = Connections()
        self.shut = self._connections.shut
        self.pause = self._connections.pause

    def send(
        self,
        method: str,
        url: str,
        body: bytes | _Parts | None,
        *,
        headers: dict[str, str],
        query: dict[str, int] | None,
        stream: bool,
    ) -> httpx.Response:
        """The answer to one request. Raises httpx.HTTPError, ClosedError, RuntimeError of a closed pool."""
        request = self._client.build_request(
            method,
            url,
            content=body,
            params=query,
            headers=headers,
            extensions={"trace": self._connections.trace},
        )
        return self._client.send(request, stream=stream)

    def close(self) -> None:
        """End the calls under way, then close. May be called again."""
        self.shut()
        self._client.close()


class _Parts:
    """A body in parts. `begun`: some of them are gone, for they come only once."""

    def __init__(self, parts: Any) -> None:
        self._parts = parts
        self._once = hasattr(parts, "__next__") or hasattr(parts, "__anext__")
        self.begun = False

    def __iter__(self) -> Iterator[bytes]:
        self.begun = self._once
        for part in chunks(self._parts):
            yield part


def _headers(content: Content | None, content_type: str, accept: str | None) -> dict[str, str]:
    wanted = {} if accept is None else {"Accept": accept}
    return wanted if content is None else wanted | {"Content-Type": content_type}
