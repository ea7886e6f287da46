"""How much memory indexes and filter columns may hold together.

Owns: the bound, and which entries go when it is passed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable


class MemoryBudget:
    """Memory held by indexes and filter columns: beyond `limit` bytes the least recently used go."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # Never iterated over: `touch` moves entries without the lock, and an iteration notices that.
        self._entries: OrderedDict[str, tuple[int, Callable[[], None]]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def used(self) -> int:
        return self._total

    def hold(self, key: str, size: int, release: Callable[[], None]) -> None:
        """Note that `key` holds `size` bytes, and make room by releasing others."""
        going: list[Callable[[], None]] = []
        with self._lock:
            before, _ = self._entries.get(key, (0, None))
            self._entries[key] = size, release
            self._entries.move_to_end(key)
            self._total += size - before
            while self._total > self.limit and len(self._entries) > 1:
                _, (freed, drop) = self._entries.popitem(last=False)
                self._total -= freed
                going.append(drop)
        for drop in going:
            drop()

    def touch(self, key: str) -> None:
        """Record a use. Without the lock, because every query does it: moving an entry is atomic."""
        try:  # noqa: SIM105 - costs nothing, which `suppress` does not
            self._entries.move_to_end(key)
        except KeyError:
            pass

    def forget(self, key: str) -> None:
        with self._lock:
            size, _ = self._entries.pop(key, (0, None))
            self._total -= size
