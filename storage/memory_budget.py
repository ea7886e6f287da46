"""The limit on the memory that indexes and filter columns hold together.

Owns: the limit, and the choice of the entries to evict when it is exceeded.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable


class MemoryBudget:
    """Tracks the memory of indexes and filter columns.

    When they hold more than `limit` bytes, the least recently used entries are evicted.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # Never iterate over the entries: `touch` moves them without the lock, which makes an iteration fail.
        self._entries: OrderedDict[str, tuple[int, Callable[[], None]]] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def used(self) -> int:
        return self._total

    def hold(self, key: str, size: int, release: Callable[[], None]) -> None:
        """Record that `key` holds `size` bytes, and release other entries if the limit is exceeded."""
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
        """Record a use. Every query calls this, so it takes no lock: moving an entry is atomic."""
        try:  # noqa: SIM105 - `suppress` takes time, `try` takes none
            self._entries.move_to_end(key)
        except KeyError:
            pass

    def forget(self, key: str) -> None:
        with self._lock:
            size, _ = self._entries.pop(key, (0, None))
            self._total -= size
