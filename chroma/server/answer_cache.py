"""Answers that take long to compute, kept for as long as what they were computed from does not change.

Owns: how much memory they take, and which are dropped: those that were not used for longest.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MOST_BYTES = 64 << 20  # of all answers of a process


class AnswerCache:
    """The answers of one kind, as they are sent. `state` is that of the records, and is compared by ==."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._answers: OrderedDict[Hashable, tuple[Any, bytes]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, state: Any) -> bytes | None:
        """The answer, or None if there is none of this state."""
        with self._lock:
            found = self._answers.get(key)
            if found is None:
                return None
            if found[0] != state:
                self._drop(key)
                return None
            self._answers.move_to_end(key)
            return found[1]

    def put(self, key: Hashable, state: Any, answer: bytes) -> None:
        """Keep an answer, unless it alone would take a quarter of the memory."""
        if len(answer) > self._most // 4:
            return
        with self._lock:
            if key in self._answers:
                self._drop(key)
            self._answers[key] = state, answer
            self._bytes += len(answer)
            while self._bytes > self._most:
                self._drop(next(iter(self._answers)))

    def _drop(self, key: Hashable) -> None:
        self._bytes -= len(self._answers.pop(key)[1])
