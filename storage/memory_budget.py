"""The limit on the memory that indexes and filter columns hold together.

Owns: the limit and its default, and the choice of the entries to evict when it is exceeded.

What a search needs only while it runs is not counted, because it is little. For a segment of a million rows:

    walk by codes   a bit for each row (125 KB), and lists of 30 KB, for each thread that searches. A graph
                    keeps those of eight threads. The bits are counted with the graph (`nbytes`). The lists
                    that it keeps have 700 KB at most for each thread
    scan of codes   the same; no array has a number for each row
    wide searches   28 bytes for each row that `ef` or `n_results` reaches, for each thread; freed at once
    a filter        a mask (1 MB) for each of its conditions. The answer and its bits (125 KB) are kept. They
                    are counted: at most 16 MB for each segment, and for each collection
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from .io import machine_memory

_DUCKDB_LEAST = 1 << 30


class DoesNotFit(Exception):
    """An index needs more memory than the limit allows.

    size  what it needs, in bytes
    kept  what indexes hold that exist only in memory, in bytes
    """

    def __init__(self, size: int, kept: int) -> None:
        super().__init__(f"it needs {size} bytes, beside {kept} that are kept")
        self.size, self.kept = size, kept


def default_limit() -> int:
    """Return half of the memory that the process may use. The rest is for records and for the caches of the
    operating system."""
    return machine_memory.usable() // 2


def duckdb_limit(limit: int) -> int:
    """Return the memory limit of a DuckDB instance, in an engine whose budget has this limit.

    It is twice the limit and at least 1 GiB, but at most a quarter of the memory that the process may use.
    """
    return min(max(2 * limit, _DUCKDB_LEAST), machine_memory.usable() // 4)


class MemoryBudget:
    """Tracks the memory of indexes and filter columns.

    When they hold more than `limit` bytes, the least recently used entries are evicted. An entry that is
    only reserved, or that was stored without a function to release it, stays.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        # Never iterate over the entries: `touch` moves them without the lock, which makes an iteration fail.
        self._entries: OrderedDict[str, tuple[int, Callable[[], None]]] = OrderedDict()
        self._kept: dict[str, int] = {}  # entries that must not be evicted
        self._reserved: set[str] = set()  # those of them that are only reserved
        self._total = 0
        self._lock = threading.Lock()

    def used(self) -> int:
        return self._total

    def reserve(self, key: str, size: int) -> bool:
        """Make room for `size` bytes before they are allocated, and record that `key` holds them.

        Returns False if other reservations leave too little room at the moment. An earlier reservation of
        `key` is then given up, so that two that wait for room do not wait for each other. Raises DoesNotFit
        if the limit is too low even without the reservations.
        """
        with self._lock:
            if key in self._reserved:
                self._total -= self._forget(key)
            stay = sum(each for name, each in self._kept.items() if name not in self._reserved)
            if stay + size > self.limit:
                raise DoesNotFit(size, stay)
            if sum(self._kept.values()) + size > self.limit:
                return False
            self._total += size - self._forget(key)
            self._kept[key] = size
            self._reserved.add(key)
            going = self._over(0)
        for drop in going:
            drop()
        return True

    def hold(self, key: str, size: int, release: Callable[[], None] | None) -> None:
        """Record that `key` holds `size` bytes, and release other entries if the limit is exceeded.

        release  frees the entry; None for an entry that must stay until `forget`
        """
        with self._lock:
            before = self._forget(key)
            if release is None:
                self._kept[key] = size
            else:
                self._entries[key] = size, release
            self._total += size - before
            going = self._over(1 if release else 0)
        for drop in going:
            drop()

    def _over(self, newest: int) -> list[Callable[[], None]]:
        """Remove the least recently used entries that exceed the limit, but not the `newest` ones. Returns
        what releases them."""
        going = []
        while self._total > self.limit and len(self._entries) > newest:
            _, (freed, drop) = self._entries.popitem(last=False)
            self._total -= freed
            going.append(drop)
        return going

    def touch(self, key: str) -> None:
        """Record a use. Every query calls this, so it takes no lock: moving an entry is atomic."""
        try:  # noqa: SIM105 - `suppress` takes time, `try` takes none
            self._entries.move_to_end(key)
        except KeyError:
            pass

    def forget(self, key: str) -> None:
        with self._lock:
            self._total -= self._forget(key)

    def _forget(self, key: str) -> int:
        """Remove an entry of any kind. Returns the bytes that it held."""
        self._reserved.discard(key)
        return self._entries.pop(key, (0, None))[0] + self._kept.pop(key, 0)
