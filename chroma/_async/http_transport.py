"""Sends requests to one server over HTTP, and returns its responses or raises exceptions.

Owns: the connection pools and the retry loop. `chroma.http.retry_policy` decides which requests are
retried and which exception an outcome becomes. This module knows nothing of routes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import httpx

from ..config import Settings
from ..errors import ClosedError, ServerConnectionError
from ..http import fast_path
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
    report_unmatched,
    shown_url,
    worth_repeating,
)
from ..internal.concurrency import AsyncContent, AsyncPools, async_bulk, async_chunks
from .http_connections import AsyncFastPath

T = TypeVar("T")

_BYTES_PER_RECORD = 1000  # bytes of JSON per record, to estimate how long parsing takes


class AsyncTransport:
    """Sends requests to the server that the settings name. Threads and tasks may share it.

    Raises InvalidArgumentError if the settings do not make a valid URL and headers.
    """

    def __init__(self, settings: Settings) -> None:
        self._base = base_url(settings)
        self._retries = settings.chroma_http_retries
        options = pool_options(settings, self._base.startswith("https"))
        base = httpx.URL(self._base)
        fast = base if fast_path.possible(settings, base) else None
        self._pools = AsyncPools(partial(_AsyncPool, headers_for(settings), options, fast))
        self.url = shown_url(self._base)  # the server's URL, as messages show it

    async def close(self) -> None:
        """Close the connections. May be called again."""
        await self._pools.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, int] | None = None,
        repeatable: bool = False,
        read: Callable[[Any], T] | None = None,
    ) -> Any:
        """Send a request. Returns the JSON of the response, or the result of `read` on it.

        body        a JSON value, or the bytes of one
        repeatable  the request is idempotent, as every GET is. Other requests are sent again only
                    if they certainly did not reach the server
        Raises the class that the server names, ServerConnectionError or ServerTimeoutError.
        """
        __tracebackhide__ = True  # in notebooks and pytest; the text of an error names the server
        content = body if body is None or isinstance(body, bytes) else encode(body)
        response = await self.send(method, path, content, query=query, repeatable=repeatable)

        def parse() -> Any:
            value = read_json(response, self.url)
            return value if read is None else read(value)

        return await async_bulk(len(response.content) // _BYTES_PER_RECORD, parse)

    async def send(
        self,
        method: str,
        path: str,
        content: AsyncContent | None = None,
        *,
        content_type: str = JSON_TYPE,
        accept: str | None = None,
        query: dict[str, int] | None = None,
        repeatable: bool = False,
    ) -> httpx.Response:
        """Send a request. Returns a successful response, whose body has been read. Raises and retries like
        `call`.

        content  the body, or its parts, each of which is sent as soon as it is available. If the parts are
                 an iterator, the request is not retried after the first part was taken
        accept   the media type requested, if it is not JSON
        """
        __tracebackhide__ = True
        headers = _headers(content, content_type, accept)
        response = await self._attempts(
            method, path, content, headers=headers, query=query, repeatable=repeatable, stream=False
        )
        if not response.is_success:
            raise error_of(response)
        report_unmatched(response)
        return response

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        content: AsyncContent | None = None,
        *,
        content_type: str = JSON_TYPE,
        accept: str | None = None,
        query: dict[str, int] | None = None,
        repeatable: bool = False,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request. Yields a successful response, whose body can be read within the `with` block.

        Otherwise the same as `send`. Errors while the body is read are translated, but not retried.
        """
        headers = _headers(content, content_type, accept)
        response = await self._attempts(
            method, path, content, headers=headers, query=query, repeatable=repeatable, stream=True
        )
        try:
            with network_errors(self.url):
                if not response.is_success:
                    await response.aread()
                    raise error_of(response)
                report_unmatched(response)
                yield response
        except (ServerConnectionError, RuntimeError) as error:
            self._check_open(error)
            raise
        finally:
            await response.aclose()

    async def _attempts(
        self,
        method: str,
        path: str,
        content: AsyncContent | None,
        *,
        headers: dict[str, str],
        query: dict[str, int] | None,
        repeatable: bool,
        stream: bool,
    ) -> httpx.Response:
        __tracebackhide__ = True
        body = content if content is None or isinstance(content, bytes) else _AsyncParts(content)
        repeatable = repeatable or method == "GET"
        attempt = 0
        while True:
            outcome: httpx.Response | httpx.HTTPError
            pool = self._pools.get()
            try:
                outcome = await pool.send(
                    method, self._base + path, body, headers=headers, query=query, stream=stream
                )
            except httpx.HTTPError as error:
                self._check_open(error)
                outcome = error
            except RuntimeError as error:
                self._check_open(error)
                raise
            spent = attempt >= self._retries or (isinstance(body, _AsyncParts) and body.begun)
            if spent or not worth_repeating(outcome, repeatable):
                if isinstance(outcome, httpx.Response):
                    return outcome
                raise network_error(outcome, self.url) from outcome
            if isinstance(outcome, httpx.Response):
                await outcome.aclose()
            await pool.pause(pause(attempt, outcome))
            attempt += 1

    def _check_open(self, error: Exception) -> None:
        """Raise ClosedError instead of `error` if the client has been closed."""
        if self._pools.closed:
            raise ClosedError("this client was closed while it waited for an answer") from error


class _AsyncPool:
    """The connection pool of one process or event loop. `fast` is the URL of a server to which small
    requests can be sent without the layers of httpx."""

    def __init__(
        self, headers: Mapping[str, str], options: Mapping[str, Any], fast: httpx.URL | None
    ) -> None:
        self._client = httpx.AsyncClient(headers=headers, **options)
        self._connections = Connections()
        self._fast_path: AsyncFastPath | None = None
        if fast is not None:
            self._fast_path = AsyncFastPath(self._client, fast, options, self._connections)
        self.shut = self._connections.shut
        self.pause = self._connections.async_pause

    async def send(
        self,
        method: str,
        url: str,
        body: bytes | _AsyncParts | None,
        *,
        headers: dict[str, str],
        query: dict[str, int] | None,
        stream: bool,
    ) -> httpx.Response:
        """Send one request. Returns the response. Raises httpx.HTTPError or ClosedError, or RuntimeError if
        the pool is closed."""
        fast = self._fast_path
        if (
            fast is not None
            and fast.usable
            and not (stream or query)
            and (body is None or (isinstance(body, bytes) and len(body) <= fast_path.MOST_BYTES))
            and not fast_path.observed()
        ):
            return await fast.send(method, url, body, headers)
        request = self._client.build_request(
            method,
            url,
            content=body,
            params=query,
            headers=headers,
            extensions={"trace": self._connections.async_trace},
        )
        return await self._client.send(request, stream=stream)

    async def aclose(self) -> None:
        """Abort the calls in progress, then close the pool. May be called again."""
        self.shut()
        if self._fast_path is not None:
            await self._fast_path.aclose()
        await self._client.aclose()


class _AsyncParts:
    """A request body in parts. `begun` is True if a one-time iterator of parts has been started, so the
    request cannot be sent again."""

    def __init__(self, parts: Any) -> None:
        self._parts = parts
        self._once = hasattr(parts, "__next__") or hasattr(parts, "__anext__")
        self.begun = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.begun = self._once
        async for part in async_chunks(self._parts):
            yield part


def _headers(content: AsyncContent | None, content_type: str, accept: str | None) -> dict[str, str]:
    headers = {} if accept is None else {"Accept": accept}
    return headers if content is None else headers | {"Content-Type": content_type}
