"""Responses: JSON, errors, and streams that are produced while they are sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ... import errors
from ...errors import ChromaError
from ...storage.interface import metadata_json
from ...wire.json_codec import error_to_json
from ..limits.fair_shares import Budget, Holder
from ..limits.thread_pool import RETRY_SECONDS, Overloaded, Pool
from ..limits.transfer_rate import Stalled
from .request_body import Incoming, TooLarge

_log = logging.getLogger("chroma.server")

_STEP = 1 << 18  # bytes passed to the socket at a time; those that it cannot send yet are copied

# Keys in the state of a request:
ABORT = "chroma-abort"  # a function that ends the request's connection at once
TAKEN = "chroma-taken"  # a function that returns how many bytes the client took while responses waited
_SLOT_SECONDS = 5.0  # how long an Arrow stream waits for a slot; short, because exports hold one for long
LARGE = _STEP  # larger responses are sent in pieces


@dataclass(slots=True)
class Streamed:
    """A handler's result that is sent piece by piece.

    A thread produces each piece after the previous one has been sent, so that at most one is in memory.
    An error before the first piece becomes an ordinary error response. A later error closes the connection.
    `chunks` is closed in all cases.
    """

    chunks: Iterator[bytes]
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ready:
    """A handler's result that is bytes, mostly of a type other than JSON. Without `status`, it has the one
    of its route."""

    content: bytes
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int | None = None


def joined(chunks: Iterator[bytes], most: int) -> bytes:
    """A whole stream as bytes, for an HTTP/1.0 client. Raises TooLarge if it exceeds `most` bytes."""
    parts: list[bytes] = []
    size = 0
    try:
        for part in chunks:
            size += len(part)
            if size > most:
                raise TooLarge(
                    f"the answer has more bytes than --max-answer-bytes of the server, {most:,}, and "
                    "HTTP/1.0 knows no streams: use HTTP/1.1, or ask for fewer records"
                )
            parts.append(part)
    finally:
        close: Callable[[], Any] | None = getattr(chunks, "close", None)
        if close is not None:
            close()
    return b"".join(parts)


def to_json(value: Any) -> bytes:
    """JSON bytes. float32 arrays become the shortest decimals that round-trip."""
    data: bytes = metadata_json.dumps(value)
    return data


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(to_json(value), status, media_type="application/json")


def error_answer(error: BaseException) -> Response:
    """The response for any exception. An unexpected exception is logged, and its message is not sent."""
    if isinstance(error, RecursionError):
        error = errors.InvalidArgumentError("the request is nested too deeply")
    if not isinstance(error, ChromaError):
        _log.error("an unexpected error", exc_info=error)
        error = errors.InternalError("an unexpected error; the server's log says more")
    response = answer(error_to_json(error), error.status)
    if error.status in (429, 503):
        response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


async def _sent(scope: Scope, send: Send, piece: bytes | memoryview, reader: Holder, seconds: float) -> None:
    """Pass a piece to the socket. If the client does not take the earlier pieces in time, ends the
    connection and raises ClientDisconnect."""
    state = scope.get("state", {})
    try:
        with reader.pace.waiting(seconds, state.get(TAKEN)):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except Stalled:
        abort = state.get(ABORT)
        if abort is not None:
            abort()
            await asyncio.sleep(0)  # lets the event loop notice the end of the connection
        raise ClientDisconnect from None


class Large(Response):
    """A response held in memory while it is sent. A budget limits the bytes of all such responses."""

    def __init__(
        self,
        *,
        content: bytes,
        status: int,
        media_type: str,
        incoming: Incoming,
        reader: Holder,
        budget: Budget,
        seconds: float,
    ) -> None:
        """Raises Overloaded if too many bytes are already waiting for their clients."""
        super().__init__(b"", status, {"Content-Length": str(len(content))}, media_type)
        self._content, self._incoming, self._seconds = content, incoming, seconds
        self._reader, self._budget = reader, budget
        if not budget.take(reader, len(content), asyncio.get_running_loop(), alone=True):
            raise Overloaded(
                f"answers of {budget.used:,} bytes wait for their clients: try again in {RETRY_SECONDS} s, "
                "or ask for fewer records"
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(self._incoming.gone())
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            whole = memoryview(self._content)
            for start in range(0, len(whole), _STEP):
                await _sent(scope, send, whole[start : start + _STEP], self._reader, self._seconds)
                if gone.done():
                    raise ClientDisconnect
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()
            self._budget.give_back(self._reader)


class Streaming(Response):
    """A streamed response. Nothing is sent before the first piece is ready."""

    def __init__(
        self,
        *,
        streamed: Streamed,
        status: int,
        pool: Pool,
        incoming: Incoming,
        reader: Holder,
        seconds: float,
    ) -> None:
        self.status_code = status
        self.media_type = streamed.media_type
        self.background = None
        self.init_headers(streamed.headers)
        self._chunks = streamed.chunks
        self._pool = pool
        self._reader = reader
        self._seconds = seconds
        self._wait = seconds if streamed.media_type == "application/json" else min(seconds, _SLOT_SECONDS)
        self._first = b""
        self._slot = AsyncExitStack()
        self._gone = asyncio.ensure_future(incoming.gone())

    async def begin(self) -> Streaming:
        """Produce the first piece. Raises the errors of doing so, and Overloaded if too many streams are
        open."""
        try:
            await self._slot.enter_async_context(self._pool.streaming(self._reader, self._wait, self._gone))
            self._first = await self._next(admitted=False)
        except BaseException:
            await self._close()
            raise
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            piece, self._first = self._first, b""
            while piece:
                for start in range(0, len(piece), _STEP):
                    await self._send(scope, send, piece[start : start + _STEP])
                piece = b""  # frees this piece while the next is produced
                piece = await self._next()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            await self._close()

    async def _send(self, scope: Scope, send: Send, piece: bytes) -> None:
        await _sent(scope, send, piece, self._reader, self._seconds)
        if self._gone.done():
            raise ClientDisconnect

    async def _next(self, *, admitted: bool = True) -> bytes:
        return await self._pool.run(lambda: next(self._chunks, b""), self._seconds, admitted=admitted)

    async def _close(self) -> None:
        self._gone.cancel()
        close: Callable[[], Any] | None = getattr(self._chunks, "close", None)
        try:
            if close is not None:
                with suppress(asyncio.CancelledError, Overloaded):  # the server is stopping
                    await self._pool.run(close, admitted=True)
        finally:
            await self._slot.aclose()
