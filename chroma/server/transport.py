"""Bytes in, bytes out: bodies, limits, threads, errors and the headers every answer carries.

Knows nothing of collections; `routes` says what the answers are.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import errors
from ..errors import ChromaError
from ..wire import ShapeError, error_to_json

_log = logging.getLogger("chroma.server")

T = TypeVar("T")

TRACE_HEADER = b"chroma-trace-id"
_GONE = "/api/v1"
_RETRY_SECONDS = 1


class TooLarge(ChromaError):
    """A body beyond the limit."""

    status = 413


class UnsupportedMedia(ChromaError):
    """A body that is not JSON, or is compressed."""

    status = 415


class Overloaded(ChromaError):
    """All threads are busy and the queue is full; nothing was done."""

    status = 503


class Pool:
    """The threads that engine calls run in, and the calls that wait for one."""

    def __init__(self, threads: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="chroma-call")
        self._most = threads + queue
        self._held = 0

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call in a thread. Raises Overloaded when too many wait already."""
        if self._held >= self._most:
            raise Overloaded(
                f"{self._held} calls are running or waiting already; try again in {_RETRY_SECONDS} s"
            )
        self._held += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        finally:
            self._held -= 1

    def close(self) -> None:
        """Let running calls finish; those that wait are dropped."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def to_json(value: Any) -> bytes:
    """JSON bytes. float32 arrays become the shortest decimals that round-trip."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(to_json(value), status, media_type="application/json")


def error_answer(error: BaseException) -> Response:
    """The answer for anything that was raised; what nobody foresaw is logged and not shown."""
    if not isinstance(error, ChromaError):
        _log.error("an unexpected error", exc_info=error)
        error = errors.InternalError("an unexpected error; the server's log says more")
    response = answer(error_to_json(error), error.status)
    if error.status in (429, 503):
        response.headers["Retry-After"] = str(_RETRY_SECONDS)
    return response


async def read_body(request: Request, largest: int) -> bytes:
    """The whole body, which must be JSON by its headers and within the limit."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (
        kind
        and kind != "application/json"
        and not (kind.startswith("application/") and kind.endswith("+json"))
    ):
        raise UnsupportedMedia(f"Expected request with `Content-Type: application/json`, got {kind!r:.100}")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise UnsupportedMedia(f"Content-Encoding {coding!r:.100} is not supported: send the body as it is")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and len(declared) < 20 and int(declared) > largest:
        raise _too_large(largest)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > largest:
            raise _too_large(largest)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(largest: int) -> TooLarge:
    return TooLarge(
        f"the body exceeds {largest:,} bytes: send fewer records per call, or start the server with a "
        "larger --max-body-bytes"
    )


class Envelope:
    """The outermost layer: a trace id, HEAD, CORS, version 1, and paths as they were sent.

    Segments of the path stay percent-encoded while routes are matched, so that a name may hold
    a slash; routes decode their own parts.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = os.urandom(16).hex().encode()
        head = scope["method"] == "HEAD"
        origin = dict(scope["headers"]).get(b"origin")
        extra = [(TRACE_HEADER, trace), *self._allowed(origin)]
        started = False

        async def reply(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            elif head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        raw = scope.get("raw_path") or scope["path"].encode()
        inner = {**scope, "path": raw.decode("latin-1"), "method": "GET" if head else scope["method"]}
        try:
            early = self._early(scope, inner["path"])
            await (self._app if early is None else early)(inner, receive, reply)
        except ClientDisconnect:
            _log.info("the client went away")
        except Exception as error:
            if started:
                raise
            await error_answer(error)(inner, receive, reply)

    def _early(self, scope: Scope, path: str) -> Response | None:
        """The answer that needs no route."""
        if path == _GONE or path.startswith(_GONE + "/"):
            message = "The v1 API is not available here: use /api/v2, as clients from 0.6 on do"
            return answer({"error": "Unimplemented", "message": message}, 410)
        if self._origins and scope["method"] == "OPTIONS":
            names = {name for name, _ in scope["headers"]}
            if b"origin" in names and b"access-control-request-method" in names:
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


__all__ = [
    "ClientDisconnect", "Envelope", "Overloaded", "Pool", "ShapeError", "TooLarge", "UnsupportedMedia",
    "answer", "error_answer", "read_body", "to_json",
]  # fmt: skip
