"""What differs between the two forms of the client in more than words: waiting, threads, pools.

Each primitive comes twice: with `async_` or `Async` before its name for `chroma/_async`, without
for `chroma/_sync`, where it does the same at once or by blocking.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from ..errors import ClosedError, UnsupportedError

# asyncio is imported where it is used: it takes longer to load than a database to open.
if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

# From this many records on, work on a batch is done beside the event loop: it takes a millisecond
# or more, and handing it to a thread a tenth of that.
_BULK = 200

_END: Any = object()

Content: TypeAlias = bytes | Iterable[bytes]
AsyncContent: TypeAlias = bytes | Iterable[bytes] | AsyncIterable[bytes]


def call(function: Callable[..., T], *arguments: Any) -> T:
    """The function's result."""
    return function(*arguments)


async def async_call(function: Callable[..., T], *arguments: Any) -> T:
    """The function's result, computed in a thread: for what takes long, as embedding does."""
    import asyncio

    return await asyncio.to_thread(function, *arguments)


def bulk(records: int, function: Callable[..., T], *arguments: Any) -> T:
    """The function's result."""
    del records
    return function(*arguments)


async def async_bulk(records: int, function: Callable[..., T], *arguments: Any) -> T:
    """The function's result, computed in a thread if it is about many records."""
    if records < _BULK:
        return function(*arguments)
    import asyncio

    return await asyncio.to_thread(function, *arguments)


def chunks(content: Iterable[bytes]) -> Iterator[bytes]:
    """The parts of a body."""
    return iter(content)


async def async_chunks(content: Iterable[bytes] | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The parts of a body. An ordinary iterator is asked for each of them in a thread."""
    if isinstance(content, AsyncIterable):
        async for chunk in content:
            yield chunk
        return
    import asyncio

    iterator = iter(content)
    while (part := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield part


class Streamable:
    """What can be read as Arrow record batches by any program that knows the PyCapsule interface, as
    `pl.DataFrame(collection)` and `duckdb.sql("from collection")` do."""

    to_batches: Callable[..., Any]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_batches().__arrow_c_stream__(requested_schema)


class AsyncStreamable:
    """What cannot be, since that interface does not wait: use `await collection.to_arrow()`."""


class _Closable(Protocol):
    def close(self) -> None: ...


class _AsyncClosable(Protocol):
    def shut(self) -> None: ...

    async def aclose(self) -> None: ...


P = TypeVar("P", bound=_Closable)
A = TypeVar("A", bound=_AsyncClosable)

_CLOSED = "this client was closed; open a new one"


class Pools(Generic[P]):
    """A pool of connections per process, so that a forked child opens connections of its own.

    `make` must not refer to the owner: the pool is closed when the owner is forgotten.
    """

    def __init__(self, make: Callable[[], P]) -> None:
        self._make = make
        self._held: dict[int, P] = {}  # a parent's is kept, but never used
        self._release = weakref.finalize(self, _close, self._held)
        self.closed = False

    def get(self) -> P:
        """The pool of this process. ClosedError after `close`."""
        if self.closed:
            raise ClosedError(_CLOSED)
        held = self._held.get(os.getpid())
        # of two threads that both make one, the first to put it there wins
        return self._held.setdefault(os.getpid(), self._make()) if held is None else held

    def close(self) -> None:
        """Close the connections of this process. May be called again."""
        self.closed = True
        self._release()


def _close(held: dict[int, P]) -> None:
    pool = held.get(os.getpid())
    if pool is not None:
        pool.close()


class AsyncPools(Generic[A]):
    """A pool of connections per event loop, and so per process: a connection lives in one loop."""

    def __init__(self, make: Callable[[], A]) -> None:
        self._make = make
        self._held: dict[tuple[int, asyncio.AbstractEventLoop], A] = {}
        self.closed = False

    def get(self) -> A:
        """The pool of the running loop. ClosedError after `close`."""
        if self.closed:
            raise ClosedError(_CLOSED)
        key = os.getpid(), _running_loop()
        held = self._held.get(key)
        if held is None:
            for ended in [other for other in self._held if other[1].is_closed()]:
                del self._held[ended]
            held = self._held.setdefault(key, self._make())
        return held

    async def close(self) -> None:
        """Close the connections of this loop, and tell other running loops to close theirs. Calls that are
        under way end at once in all of them.

        May be called again. What a loop that has ended left open, the garbage collector closes.
        """
        self.closed = True
        here = _running_loop()
        for (pid, loop), pool in list(self._held.items()):
            if pid == os.getpid():
                pool.shut()
            if loop is here and pid == os.getpid():
                await pool.aclose()
            elif loop.is_running() and pid == os.getpid():
                loop.call_soon_threadsafe(_close_in_task, loop, pool)
        self._held.clear()


def _close_in_task(loop: asyncio.AbstractEventLoop, pool: _AsyncClosable) -> None:
    task = loop.create_task(pool.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


_closing: set[asyncio.Task[None]] = set()  # the loop itself holds its tasks weakly


def _running_loop() -> asyncio.AbstractEventLoop:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UnsupportedError(
            "asynchronous clients run in an asyncio event loop, and there is none here"
        ) from None
