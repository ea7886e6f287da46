"""The primitives that differ between the sync and the async client: waiting, threads, pools.

Each primitive has two forms. `chroma/_async` uses the form with the prefix `async_` or `Async`.
`chroma/_sync` uses the form without this prefix, which does the same immediately or by blocking.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from ..errors import ClosedError, UnsupportedError
from ..storage.interface.requests import ALL_RECORDS
from ..storage.interface.short_repr import shown
from ..storage.interface.whole_numbers import digits

# asyncio is imported at first use, because its import takes longer than opening a database.
if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

# Batches of at least this many records are processed in a thread, outside the event loop. The work takes
# a millisecond or more; passing it to a thread takes a tenth of that.
_BULK = 200

_END: Any = object()

Content: TypeAlias = bytes | Iterable[bytes]
AsyncContent: TypeAlias = bytes | Iterable[bytes] | AsyncIterable[bytes]


def call(function: Callable[..., T], *arguments: Any) -> T:
    """Call the function and return its result."""
    return function(*arguments)


async def async_call(function: Callable[..., T], *arguments: Any) -> T:
    """Call a slow function, such as an embedding function, in a thread and return its result."""
    import asyncio

    return await asyncio.to_thread(function, *arguments)


def call_any(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a user's function and return its result. Raises UnsupportedError if it has to be awaited."""
    result = function(*arguments)
    if hasattr(result, "__await__"):
        if hasattr(result, "close"):
            result.close()  # else Python warns that it was never awaited
        raise UnsupportedError(
            f"{shown(function)} is asynchronous: pass it to an asynchronous client, or pass another function"
        )
    return result


async def async_call_any(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a user's function, which may be slow or asynchronous, and return its result."""
    import asyncio
    import inspect

    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        return await function(*arguments)
    result = await asyncio.to_thread(function, *arguments)
    return await result if inspect.isawaitable(result) else result


def bulk(records: int, function: Callable[..., T], *arguments: Any) -> T:
    """Call the function and return its result."""
    del records
    return function(*arguments)


async def async_bulk(records: int, function: Callable[..., T], *arguments: Any) -> T:
    """Call the function, in a thread if it processes many records, and return its result."""
    if records < _BULK:
        return function(*arguments)
    import asyncio

    return await asyncio.to_thread(function, *arguments)


def chunks(content: Iterable[bytes]) -> Iterator[bytes]:
    """Iterate over the parts of a body."""
    return iter(content)


async def async_chunks(content: Iterable[bytes] | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """Iterate over the parts of a body. A synchronous iterator is advanced in a thread."""
    if isinstance(content, AsyncIterable):
        async for chunk in content:
            yield chunk
        return
    import asyncio

    iterator = iter(content)
    while (part := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield part


class Streamable:
    """Base of classes that programs can read as Arrow record batches through the PyCapsule interface, as in
    `pl.DataFrame(collection)` and `duckdb.sql("from collection")`."""

    to_batches: Callable[..., Any]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_batches().__arrow_c_stream__(requested_schema)


class AsyncStreamable:
    """Base of async classes. They lack the PyCapsule interface, which cannot await: use
    `await collection.to_arrow()`."""


class _Closable(Protocol):
    def close(self) -> None: ...


class _AsyncClosable(Protocol):
    def shut(self) -> None: ...

    async def aclose(self) -> None: ...


P = TypeVar("P", bound=_Closable)
A = TypeVar("A", bound=_AsyncClosable)

_CLOSED = "this client was closed; open a new one"


class Pools(Generic[P]):
    """A connection pool per process, so that a forked child opens its own connections.

    `make` must not refer to the owner, because the pool closes when the owner is garbage-collected.
    """

    def __init__(self, make: Callable[[], P]) -> None:
        self._make = make
        self._pools: dict[int, P] = {}  # a parent's pool is kept but never used
        self._release = weakref.finalize(self, _close, self._pools)
        self.closed = False

    def get(self) -> P:
        """Return the pool of this process. Raises ClosedError after `close`."""
        if self.closed:
            raise ClosedError(_CLOSED)
        pool = self._pools.get(os.getpid())
        # if two threads both create a pool, the one stored first is used
        return self._pools.setdefault(os.getpid(), self._make()) if pool is None else pool

    def close(self) -> None:
        """Close the connections of this process. May be called more than once."""
        self.closed = True
        self._release()


def _close(pools: dict[int, P]) -> None:
    pool = pools.get(os.getpid())
    if pool is not None:
        pool.close()


class AsyncPools(Generic[A]):
    """A connection pool per event loop, and so per process, because a connection belongs to one loop."""

    def __init__(self, make: Callable[[], A]) -> None:
        self._make = make
        self._pools: dict[tuple[int, asyncio.AbstractEventLoop], A] = {}
        self.closed = False

    def get(self) -> A:
        """Return the pool of the running loop. Raises ClosedError after `close`."""
        if self.closed:
            raise ClosedError(_CLOSED)
        key = os.getpid(), _running_loop()
        pool = self._pools.get(key)
        if pool is None:
            for ended in [other for other in self._pools if other[1].is_closed()]:
                del self._pools[ended]
            pool = self._pools.setdefault(key, self._make())
        return pool

    async def close(self) -> None:
        """Close the connections of this loop, and make other running loops close theirs.

        Running calls in all loops end immediately. May be called more than once. The garbage collector
        closes the connections that an ended loop left open.
        """
        self.closed = True
        here = _running_loop()
        for (pid, loop), pool in list(self._pools.items()):
            if pid == os.getpid():
                pool.shut()
            if loop is here and pid == os.getpid():
                await pool.aclose()
            elif loop.is_running() and pid == os.getpid():
                loop.call_soon_threadsafe(_close_in_task, loop, pool)
        self._pools.clear()


def _close_in_task(loop: asyncio.AbstractEventLoop, pool: _AsyncClosable) -> None:
    task = loop.create_task(pool.aclose())
    _closing.add(task)
    task.add_done_callback(_closing.discard)


_closing: set[asyncio.Task[None]] = set()  # the loop holds only weak references to its tasks


def _running_loop() -> asyncio.AbstractEventLoop:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UnsupportedError(
            "asynchronous clients run in an asyncio event loop, and there is none here"
        ) from None


class AsyncContainer:
    """Nothing: `len(c)`, `id in c` and `c.columns` cannot be awaited."""


class Container:
    """Makes a collection whose calls block a container of records."""

    _backend: Any
    _ref: Any

    def column_types(self) -> dict[str, str]:
        raise NotImplementedError

    @property
    def columns(self) -> list[str]:
        """The names of the columns that `to_arrow` gives all records: id, document, uri, embedding and the
        metadata keys."""
        return list(self.column_types())

    def __len__(self) -> int:
        """The number of records."""
        return int(self._backend.count(self._ref, ALL_RECORDS))

    def __contains__(self, id: Any) -> bool:
        """Whether a record has this id. False for a value that cannot be an id."""
        id = digits(id)  # as everywhere, a whole number stands for its digits
        return isinstance(id, str) and bool(id) and bool(self._backend.known_ids(self._ref, [id]))

    def __bool__(self) -> bool:
        """True, for an empty collection, too: programs ask whether they have a collection."""
        return True
