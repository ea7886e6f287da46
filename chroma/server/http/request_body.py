"""Reads request bodies as bytes, whole or as a stream, within limits of size and time.

This module handles media types, codings and sockets; the `parsing` package interprets the bytes. A body
is decompressed in the thread that reads it, never in the event loop.
"""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request

from ...errors import ChromaError, InvalidArgumentError
from ..limits.fair_shares import Budget, Holder
from ..limits.thread_pool import RETRY_SECONDS, Overloaded
from ..limits.transfer_rate import Pace, Stalled, Within

_STEP = 1 << 20  # bytes that are decompressed, or passed from the socket to a thread, at a time
_MOST_DISCARDED, _DISCARD_SECONDS = 16 << 20, 2.0  # limits on discarding the body of a rejected request
_LEAST_FED, _MOST_FED = 256, 1 << 16  # bytes that zlib is given at a time
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's window bits for each coding


class TooLarge(ChromaError):
    """The body is larger than the limit."""

    status = 413


class TooSlow(ChromaError):
    """The body did not arrive in time."""

    status = 408


class UnsupportedMedia(ChromaError):
    """The body is not JSON, or its compression is not supported."""

    status = 415


class Incoming:
    """The body of one request."""

    def __init__(
        self,
        request: Request,
        headers: Mapping[str, str],
        *,
        largest: int,
        seconds: float,
        budget: Budget,
        holder: Holder,
    ) -> None:
        """`holder` accounts for the body's memory, and for the slot of a streamed body."""
        self.media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        self._coding = headers.get("content-encoding", "identity").strip().lower()
        self._window = _WINDOWS.get(self._coding)
        self._by_page = "origin" in headers or "sec-fetch-site" in headers
        self.older = request.scope.get("http_version") == "1.0"  # such clients accept no chunked responses
        self.received = 0
        self._waits_for_leave = headers.get("expect", "").lower() == "100-continue"
        self._declared = headers.get("content-length", "")
        self._receive = request.receive
        self._largest = largest
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        self.holder = holder
        self._pace: Pace = holder.pace
        self._seconds = seconds
        self._ended = False

    def check_coding(self) -> None:
        """Raises UnsupportedMedia if the body's content coding is not supported."""
        if self._window is None and self._coding not in ("", "identity"):
            raise UnsupportedMedia(
                f"Content-Encoding {self._coding!r:.100} is not supported: use gzip or deflate, or send the "
                "body as it is"
            )

    def check_media(self, has_body: bool) -> None:
        """Raises UnsupportedMedia if the media type is not JSON, even if there is no body.

        Programs may omit the media type, as clients written for other servers do. Web pages may not omit
        it if the request `has_body`: without a CORS preflight, a browser sends only other media types.
        """
        kind = self.media_type
        if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
            return
        if kind or (has_body and self._by_page):
            raise UnsupportedMedia(
                f"Expected request with `Content-Type: application/json`, got {kind!r:.100}"
            )

    @property
    def compressed(self) -> bool:
        """Whether the body has a content coding, which takes time to undo."""
        return self._window is not None

    async def read(self) -> bytes:
        """The whole body as it was sent. Raises TooLarge, TooSlow if the whole body takes too long, and
        Overloaded if other bodies take up too much memory."""
        if self._declared.isdigit() and len(self._declared) < 20 and int(self._declared) > self._largest:
            raise self._too_large()
        parts: list[bytes] = []
        with self._in_time():
            while not self._ended:
                parts.append(await self._part())
                if self.received > self._largest:
                    raise self._too_large()
                self._hold(len(parts[-1]))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def decoded(self, raw: bytes) -> bytes:
        """Decompress a body that was read. Raises TooLarge as soon as the result is too large, Overloaded,
        and InvalidArgumentError if the data are corrupt."""
        if self._window is None:
            return raw
        parts: list[bytes] = []
        size = 0
        decoder = Decoder(self._window)
        # `_hold` stops the loop after the request has been closed, which is why empty parts are held too
        for part in decoder.all(raw):
            size += len(part)
            if size > self._largest:
                raise self._too_large()
            self._hold(len(part))
            parts.append(part)
        return b"".join(parts)

    async def next_parts(self) -> bytes:
        """About a MiB of the body as it was sent; empty at the end. Raises TooSlow if it takes too long. The
        time limit for each MiB is the same as for a whole body."""
        parts: list[bytes] = []
        size = 0
        with self._in_time():
            while not self._ended and size < _STEP:
                part = await self._part()
                parts.append(part)
                size += len(part)
        return b"".join(parts)

    def file(self) -> Feed:
        """The body as a file that a thread can read while it arrives. Call this in the event loop.

        Time is limited, but size is not: the reader must bound what it keeps in memory.
        """
        return Feed(self, asyncio.get_running_loop(), self._window)

    async def discard(self) -> bool:
        """Read and drop the rest of the body, within limits. A client that is still sending then reads the
        response. Returns whether the end of the body was reached."""
        until = self.received + _MOST_DISCARDED
        with suppress(TimeoutError, ClientDisconnect), Within(_DISCARD_SECONDS):
            while not self._ended and not self._waits_for_leave and self.received < until:
                await self._arrived()
        return self._ended

    def close(self) -> None:
        """Stop reading and release the body's memory. Threads that read the rest get ClientDisconnect."""
        self._budget.give_back(self.holder)

    async def gone(self) -> None:
        """Wait until the client disconnects. Drops the bytes that it sends meanwhile."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        try:
            with self._pace.waiting(self._seconds):
                yield
        except Stalled as stalled:
            raise self._too_slow(str(stalled)) from None

    async def _part(self) -> bytes:
        if self.holder.closed:
            raise self._closed()
        return await self._arrived()

    async def _arrived(self) -> bytes:
        message: Any = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._waits_for_leave = False
        body: bytes = message.get("body", b"")
        self.received += len(body)
        self._pace.moved(len(body))
        self._ended = not message.get("more_body", False)
        return body

    def _hold(self, size: int) -> None:
        """Account for bytes that stay in memory until the request ends."""
        try:
            has_room = self._budget.take(self.holder, size, self._loop)
        except LookupError:
            raise self._closed() from None
        if not has_room:
            raise Overloaded(
                f"bodies of {self._budget.used:,} bytes are being read; try again in {RETRY_SECONDS} s"
            )

    def _closed(self) -> Exception:
        """The error for reading from a request that has been closed."""
        return self._too_slow(self.holder.ended_for) if self.holder.ended_for else ClientDisconnect()

    def _too_slow(self, why: str) -> TooSlow:
        """The error for a body that `Pace` stopped waiting for, with the reason that `Pace` gave."""
        texts = {
            "late": f"the body, or a MiB of a stream, did not arrive within {self._seconds:g} s",
            "slow": "the body arrives more slowly than --idle-seconds and --min-bytes-per-second allow",
        }
        text = texts.get(why, f"the body arrives slowly, and {why}")
        return TooSlow(f"{text}: {self.received:,} bytes were received")

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"the body exceeds {self._largest:,} bytes: send fewer records per call, or start the server "
            "with a larger --max-body-bytes"
        )


class Decoder:
    """Decompresses gzip (any number of members) or zlib, in pieces of at most a MiB.

    The time is linear in the sizes of the input and output. zlib copies the input that it did not use. So it
    gets small slices, and the smallest ones after the end of a member. An empty piece is yielded after each
    MiB of input that produced no output, so that the consumer can stop.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._begun = False
        self._slice = _MOST_FED

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields the output of more input. Raises InvalidArgumentError if the input is corrupt."""
        view, offset, told = memoryview(data), 0, 0
        while offset < len(view):
            if self._stream.eof:
                self._stream, self._begun, self._slice = zlib.decompressobj(self._window), False, _LEAST_FED
            self._begun = True
            given = view[offset : offset + self._slice]
            out = self._step(given)
            offset += len(given) - len(self._stream.unused_data or self._stream.unconsumed_tail)
            self._slice = min(2 * self._slice, _MOST_FED)
            if out or offset - told >= _STEP:
                told = offset
                yield out

    def _step(self, given: memoryview) -> bytes:
        try:
            return self._stream.decompress(given, _STEP)
        except zlib.error as error:
            raise InvalidArgumentError(f"the compressed body is broken: {error}") from None

    def all(self, data: bytes) -> Iterator[bytes]:
        """Yields the output of the whole input."""
        yield from self.feed(data)
        yield from self.end()

    def end(self) -> Iterator[bytes]:
        """Yields the remaining output at the end of the input. Raises InvalidArgumentError if the input is
        truncated."""
        if not self._begun:
            raise InvalidArgumentError("the compressed body is empty")
        while not self._stream.eof and (out := self._step(memoryview(b""))):
            yield out
        if not self._stream.eof:
            raise InvalidArgumentError("the compressed body is broken: it ends too early")


class Feed(io.RawIOBase):
    """A body as a blocking file, to be read by one thread other than the event loop's.

    Raises TooSlow, ClientDisconnect and InvalidArgumentError from `read` and `readinto`.
    """

    def __init__(self, incoming: Incoming, loop: asyncio.AbstractEventLoop, window: int | None) -> None:
        self._incoming = incoming
        self._loop = loop
        self._pieces = self._decoded(window)
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, completely unless the body ends. Returns the number of bytes read."""
        target = memoryview(buffer).cast("B")
        filled = 0
        while filled < len(target):
            if not self._piece:
                self._piece = memoryview(next(self._pieces, b""))
                if not self._piece:
                    break
            size = min(len(self._piece), len(target) - filled)
            target[filled : filled + size] = self._piece[:size]
            self._piece = self._piece[size:]
            filled += size
        return filled

    def _sent(self) -> Iterator[bytes]:
        while part := self._next():
            yield part

    def _next(self) -> bytes:
        coming = asyncio.run_coroutine_threadsafe(self._incoming.next_parts(), self._loop)
        try:
            return coming.result()
        except (asyncio.CancelledError, RuntimeError):  # the server is stopping
            raise ClientDisconnect from None

    def _decoded(self, window: int | None) -> Iterator[bytes]:
        if window is None:
            yield from self._sent()
            return
        decoder = Decoder(window)
        for part in self._sent():
            yield from filter(None, decoder.feed(part))
        yield from decoder.end()
