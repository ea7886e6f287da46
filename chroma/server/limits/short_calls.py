"""Decides which engine calls are so short that they run on the event loop's thread.

To hand a call over to a thread and back takes 70 µs on an idle machine, and several times that where threads
compete for the interpreter's lock. A call that runs on the event loop's thread holds up all other requests,
and cannot be timed out. So only calls run there whose likes have lately been short, each time. Calls of which
nothing is known, and those that have once taken long, run in threads. So do calls whose answer turns out to
be large, because the records of one collection differ.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")

# A query of 70,000 vectors with their records takes 0.2 to 0.4 ms, and a scan of them 5 ms. The processor
# time of the thread shows what a call does. The time that passes shows whether it waits, as for a disk, and
# also how busy the machine is.
SHORT_SECONDS = 0.001
# So many bytes of texts take 0.1 to 0.2 ms to read and encode, and metadata up to 1 ms. Numbers as decimals
# take eight times as long as their bytes.
SHORT_BYTES = 1 << 18
DECIMALS = 8
_LONGEST_WAIT = 0.05
_PROVEN = 3  # so many calls in a row must have been short
_PROVEN_AGAIN = 16  # after a call that was not short, so many must have been
_KINDS = 1024  # kinds of calls that are remembered


class NotShort(Exception):
    """The answer of a call that began on the event loop's thread is too large for it."""


class ShortCalls:
    """Remembers how many calls of each kind still have to be short. Threads may share it."""

    def __init__(self) -> None:
        self._unproven: OrderedDict[Hashable, int] = OrderedDict()

    def proven(self, kind: Hashable) -> bool:
        """Whether the last calls of this kind were all short."""
        return self._unproven.get(kind, _PROVEN) == 0

    def measured(self, kind: Hashable, call: Callable[[], T]) -> T:
        """The result of a call, whose duration is remembered.

        A call that fails soon is no proof: it may have failed before its work began.
        """
        began, used, done = time.monotonic(), time.thread_time(), False
        try:
            result = call()
            done = True
            return result
        finally:
            short = time.thread_time() - used < SHORT_SECONDS and time.monotonic() - began < _LONGEST_WAIT
            if done or not short:
                self._remember(kind, short)

    def _remember(self, kind: Hashable, short: bool) -> None:
        left = self._unproven.get(kind, _PROVEN)
        if short and left == 0:
            return
        self._unproven[kind] = left - 1 if short else _PROVEN_AGAIN
        if len(self._unproven) > _KINDS:
            self._unproven.popitem(last=False)
