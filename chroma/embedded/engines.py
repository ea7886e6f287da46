"""The engines of this process: one per folder, shared by all clients of it.

Owns: opening and closing them, and what becomes of them in a forked child. Raises the errors of the engine.
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

__all__ = ["Shared", "forget_memory", "hold", "let_go", "release", "renew"]


class Shared:
    """An engine and how many clients use it: one, when it is made."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.clients = 1
        self.pid = os.getpid()
        _all.add(self)


_engines: dict[str, Shared] = {}  # by real path; "" is the shared store in memory
_all: weakref.WeakSet[Shared] = weakref.WeakSet()
_inherited: list[Engine] = []  # a parent's engines: kept, for to destroy them here could do harm
_lock = threading.RLock()  # the garbage collector may let go of a client while it is held
_forgotten: deque[tuple[str | None, Shared]] = deque()  # clients that the garbage collector let go of


def _after_fork() -> None:
    # A child has none of the threads, and locks in an unknown state: it opens folders and memory anew.
    global _lock
    _lock = threading.RLock()
    for shared in _all:
        shared.engine.after_fork()
        _inherited.append(shared.engine)
    for place in [place for place in _engines if place]:
        del _engines[place]


os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _close_all() -> None:
    """Stop background work and DuckDB before the interpreter goes away."""
    for shared in list(_engines.values()):
        if shared.pid == os.getpid():
            shared.engine.close()


def hold(place: str | None, settings: Settings) -> Shared:
    """The engine of a place, opened if need be, with one client more.

    place  the real path of a folder; "" the shared store in memory; None a private one
    """
    try:
        with _lock:
            return Shared(_opened(None, settings)) if place is None else _hold(place, settings)
    finally:
        _settle()


def _hold(place: str, settings: Settings) -> Shared:
    """Needs the lock."""
    shared = _engines.get(place)
    if shared is not None and not place:
        renew(shared)
    if shared is not None and not shared.engine.closed and not shared.engine.lost():
        shared.clients += 1
        # The garbage collector may just have let go of the last other client.
        if not shared.engine.closed:
            return shared
    # There is none, or somebody has removed the folder, as notebooks do, and wants a new database there.
    shared = _engines[place] = Shared(_opened(place or None, settings))
    return shared


def _opened(path: str | None, settings: Settings) -> Engine:
    return Engine(path, memory=settings.chroma_memory_limit_bytes or None)


def renew(shared: Shared) -> None:
    """In a forked child: the fork copied what is in memory, and it is opened as after a crash."""
    with _lock:
        if shared.pid != os.getpid():
            shared.engine = shared.engine.reopened()
            shared.pid = os.getpid()


def forget_memory() -> None:
    """Let the next client in memory start with an empty store."""
    with _lock:
        _engines.pop("", None)


def release(place: str | None, shared: Shared) -> None:
    """A client was closed. The engine closes with its last one; the shared store in memory stays."""
    with _lock:
        last = _drop(place, shared)
    if last:
        shared.engine.close()
    _settle()


def let_go(place: str | None, shared: Shared) -> None:
    """A client was forgotten. The garbage collector calls this in any thread, perhaps in one that the
    holder of the lock waits for, so it must not wait for the lock; the holder settles after itself."""
    _forgotten.append((place, shared))
    _settle()


def _settle() -> None:
    """Close the engines of clients that were forgotten, unless another thread is at it."""
    while _forgotten and _lock.acquire(blocking=False):
        last = []
        try:
            with suppress(IndexError):  # empty: the garbage collector may come in between
                while True:
                    place, shared = _forgotten.popleft()
                    if _drop(place, shared):
                        last.append(shared)
        finally:
            _lock.release()
        for shared in last:
            shared.engine.close()


def _drop(place: str | None, shared: Shared) -> bool:
    """One client less: whether that was the last one, so that the engine is to be closed. Needs the lock."""
    if shared.pid != os.getpid():
        return False  # the parent's; it lives on there
    shared.clients -= 1
    if shared.clients > 0 or place == "":
        return False
    if place is not None and _engines.get(place) is shared:
        del _engines[place]
    return True
