"""The outermost layer around the application: handles what all routes have in common.

That is request ids, percent-encoded paths, HEAD, CORS, pages of other origins, requests to API version 1, and
reporting each finished request once. The layer knows nothing of collections; `routes` defines the responses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..limits.thread_pool import Overloaded
from ..observability import request_context
from ..observability.request_context import CLIENT_GONE, Exchange
from ..observability.tracing import Tracing
from .cross_origin import NO_SNIFFING, Gate
from .responses import answer, error_answer

TRACE_HEADER = b"chroma-trace-id"
REQUEST_HEADER = b"x-request-id"
_GONE = "/api/v1"
_LOGGED = 100  # characters of a path that no route has

Observer = Callable[[Exchange], None]
Endpoint = Callable[[Request], Awaitable[Response]]
Find = Callable[[str, str], tuple[Endpoint, dict[str, str]] | None]


class Envelope:
    """The outermost ASGI application.

    `find` returns the endpoint for a method and a path, with the parts of the path. `app` answers requests
    without an endpoint. Segments of the path stay percent-encoded while routes are matched, so that a name
    may contain a slash. Routes decode their own parts. `observers` are called with every request when it has
    ended.
    """

    def __init__(
        self,
        app: ASGIApp,
        find: Find,
        *,
        gate: Gate,
        origins: tuple[str, ...],
        observers: tuple[Observer, ...] = (),
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        self._find = find
        self._gate = gate
        self._origins = origins
        self._observers = observers
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        seen = request_context.begin(method, scope["headers"])
        request_context.CURRENT.set(seen)
        if self._tracing is not None:
            self._tracing.begin(seen, scope["headers"])
        head = method == "HEAD"
        headers = dict(scope["headers"])
        extra = [
            (TRACE_HEADER, seen.trace_id.encode()),
            (REQUEST_HEADER, seen.request_id.encode()),
            NO_SNIFFING,
            *self._allowed(headers.get(b"origin")),
        ]

        async def reply(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            elif head:
                message = {**message, "body": b""}
            else:
                seen.sent += len(message.get("body", b""))
            await send(message)

        raw = scope.get("raw_path") or scope["path"].encode()
        inner = {
            **scope,
            "path": raw.decode("latin-1"),
            "method": "GET" if head else method,
            request_context.KEY: seen,
        }
        try:
            early = self._early(scope["method"], headers, inner["path"])
            found = self._find(inner["method"], inner["path"]) if early is None else None
            if found is not None:
                endpoint, inner["path_params"] = found
                early = await endpoint(Request(inner, receive))
            await (self._app if early is None else early)(inner, receive, reply)
        except ClientDisconnect:
            seen.status = CLIENT_GONE
        except asyncio.CancelledError:  # the server is stopping, and its time for draining is over
            if seen.status:
                seen.status = 503  # the response was begun, and is cut off here
            else:
                stopping = error_answer(Overloaded("the server is stopping"))
                stopping.headers["Connection"] = "close"
                await stopping(inner, receive, reply)
        except Exception as error:
            if seen.status:  # the response was cut off after its status was sent, so it is a failure
                seen.status = 500
                raise
            await error_answer(error)(inner, receive, reply)
        finally:
            if not seen.route:
                seen.unmatched = inner["path"][:_LOGGED]
            for observer in self._observers:
                observer(seen)

    def _early(self, method: str, headers: Mapping[bytes, bytes], path: str) -> Response | None:
        """The response to a request that needs no route; None for other requests."""
        refusal = self._gate.refusal(method, headers)
        if refusal is not None:
            return error_answer(refusal)
        if path == _GONE or path.startswith(_GONE + "/"):
            message = "The v1 API is not available here: use /api/v2, as clients from 0.6 on do"
            return answer({"error": "Unimplemented", "message": message}, 410)
        if self._origins and method == "OPTIONS":
            if b"origin" in headers and b"access-control-request-method" in headers:
                return Response(
                    status_code=200,
                    headers={"access-control-allow-methods": "*", "access-control-allow-headers": "*"},
                )
        return None

    def _allowed(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        if not self._origins:
            return []
        varies = (b"vary", b"origin, access-control-request-method, access-control-request-headers")
        if "*" in self._origins:
            return [(b"access-control-allow-origin", b"*"), varies]
        if origin is not None and origin.decode("latin-1") in self._origins:
            return [(b"access-control-allow-origin", origin), varies]
        return [varies]
