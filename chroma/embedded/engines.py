"""The engines of this process. All clients of a folder share one engine.

Owns: opening and closing the engines, and reopening them in a forked child. Raises the engine's errors.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from contextlib import suppress

from ..config import Settings
from ..storage.engine import Engine

__all__ = ["Shared", "forget_memory", "hold", "let_go", "release", "renew", "share"]


class Shared:
    """An engine and the number of its clients, which starts at one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.clients = 1
        self.pid = os.getpid()
        _all.add(self)


_engines: dict[str, Shared] = {}  # by real path; "" is the shared store in memory
_all: weakref.WeakSet[Shared] = weakref.WeakSet()
_inherited: list[Engine] = []  # the parent's engines, kept because destroying them here could do harm
_lock = threading.RLock()  # reentrant: garbage collection may drop a client while the lock is held
_forgotten: deque[tuple[str | None, Shared]] = deque()  # clients that were garbage-collected


def _after_fork() -> None:
    # A child has none of the parent's threads, and its copies of the locks are in an unknown state.
    # It therefore opens folders and the store in memory again.
    global _lock
    _lock = threading.RLock()
    for shared in _all:
        shared.engine.after_fork()
        _inherited.append(shared.engine)
    for location in [location for location in _engines if location]:
        del _engines[location]


os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _close_all() -> None:
    """Stop background work and DuckDB before the interpreter exits."""
    for shared in list(_engines.values()):
        if shared.pid == os.getpid():
            shared.engine.close()


def hold(location: str | None, settings: Settings) -> Shared:
    """The engine of a location, opened if necessary. Adds one to its number of clients.

    location  the real path of a folder; "" for the shared store in memory; None for a private store
    """
    try:
        with _lock:
            return Shared(_opened(None, settings)) if location is None else _hold(location, settings)
    finally:
        _release_forgotten()


def _hold(location: str, settings: Settings) -> Shared:
    """`hold` for a shared engine. The caller holds the lock."""
    shared = _engines.get(location)
    if shared is not None and not location:
        renew(shared)
    if shared is not None and not shared.engine.closed and not shared.engine.lost():
        shared.clients += 1
        # Garbage collection may have dropped the last other client, and so closed the engine, meanwhile.
        if not shared.engine.closed:
            return shared
    # No engine is open, or the folder was removed, as notebooks do to start with a new database.
    shared = _engines[location] = Shared(_opened(location or None, settings))
    return shared


def _opened(path: str | None, settings: Settings) -> Engine:
    return Engine(path, memory=settings.chroma_memory_limit_bytes or None)


def share(shared: Shared) -> None:
    """Add one to the number of an engine's clients."""
    with _lock:
        shared.clients += 1


def renew(shared: Shared) -> None:
    """In a forked child, reopen the engine from the copied memory, as after a crash."""
    with _lock:
        if shared.pid != os.getpid():
            shared.engine = shared.engine.reopened()
            shared.pid = os.getpid()


def forget_memory() -> None:
    """Forget the shared store in memory, so that the next client in memory starts empty."""
    with _lock:
        _engines.pop("", None)


def release(location: str | None, shared: Shared) -> None:
    """Release a closed client's reference. The last client closes the engine, except for the shared store
    in memory."""
    with _lock:
        last = _drop(location, shared)
    if last:
        shared.engine.close()
    _release_forgotten()


def let_go(location: str | None, shared: Shared) -> None:
    """Release the reference of a client that was garbage-collected.

    The garbage collector may call this function in any thread, even in one that the holder of the lock waits
    for. The function must therefore not wait for the lock. The holder calls `_release_forgotten`
    after it releases the lock.
    """
    _forgotten.append((location, shared))
    _release_forgotten()


def _release_forgotten() -> None:
    """Release the references of garbage-collected clients, unless another thread holds the lock."""
    while _forgotten and _lock.acquire(blocking=False):
        last = []
        try:
            with suppress(IndexError):  # the deque is empty; a check beforehand would race with `let_go`
                while True:
                    location, shared = _forgotten.popleft()
                    if _drop(location, shared):
                        last.append(shared)
        finally:
            _lock.release()
        for shared in last:
            shared.engine.close()


def _drop(location: str | None, shared: Shared) -> bool:
    """Remove one client. Returns whether the caller must close the engine, because that client was the last.
    The caller holds the lock."""
    if shared.pid != os.getpid():
        return False  # the engine is the parent's, and still open there
    shared.clients -= 1
    if shared.clients > 0 or location == "":
        return False
    if location is not None and _engines.get(location) is shared:
        del _engines[location]
    return True
