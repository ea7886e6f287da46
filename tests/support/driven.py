"""Asynchronous clients behind the calls of ordinary ones, so that the same tests run on both.

One event loop runs in a thread of its own for the whole session; each call is made there and waited for.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Coroutine
from typing import Any

import chroma
from chroma._async.collection import AsyncCollection

PATIENCE = 100.0  # seconds for one call

_loops: list[tuple[asyncio.AbstractEventLoop, threading.Thread]] = []


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine, which runs in the session's loop."""
    if not _loops:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        _loops.append((loop, thread))
    return asyncio.run_coroutine_threadsafe(work, _loops[0][0]).result(PATIENCE)


def stop() -> None:
    """End the loop, if there is one."""
    while _loops:
        loop, thread = _loops.pop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def HttpClient(*arguments: Any, **settings: Any) -> Driven:
    """As `chroma.HttpClient`."""
    return Driven(run(chroma.AsyncHttpClient(*arguments, **settings)))


def _driven(value: Any) -> Any:
    if isinstance(value, AsyncCollection):
        return Driven(value)
    if isinstance(value, list):
        return [_driven(entry) for entry in value]
    return value


class Driven:
    """A client or a collection."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, inner: Any) -> None:
        object.__setattr__(self, "inner", inner)

    def __getattr__(self, name: str) -> Any:
        value = getattr(object.__getattribute__(self, "inner"), name)
        if not inspect.iscoroutinefunction(value):
            return value
        return lambda *arguments, **settings: _driven(run(value(*arguments, **settings)))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "inner"), name, value)

    def __eq__(self, other: object) -> bool:
        return self.inner == (other.inner if isinstance(other, Driven) else other)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return repr(self.inner).removeprefix("Async")

    def __enter__(self) -> Driven:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
