"""Warns about texts that are longer than a model reads: once per call, with their number."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class Cut:
    """The number of texts that were cut, of all that were embedded."""

    def __init__(self) -> None:
        self.cut = self.texts = self.tokens = 0

    def add(self, cut: int, texts: int, tokens: int) -> None:
        """Add a call of a function that reads so many tokens."""
        self.cut += cut
        self.texts += texts
        self.tokens = tokens

    def warn(self) -> None:
        """Warn if there are any."""
        if not self.cut:
            return
        warnings.warn(
            f"{self.cut:,} of {self.texts:,} texts {'is' if self.cut == 1 else 'are'} longer than the "
            f"{self.tokens} tokens that the model reads, and what follows them is not in the "
            "vectors: chroma.split(texts) divides texts, and so does load(..., split=True)",
            UserWarning,
            stacklevel=_callers(),
        )


_thread = threading.local()


def tell(cut: int, texts: int, tokens: int) -> None:
    """Warn about texts that a function cut, or count them in a `counted` block."""
    counts: Cut | None = getattr(_thread, "counts", None)
    if counts is not None:
        counts.add(cut, texts, tokens)
    elif cut:
        counts = Cut()
        counts.add(cut, texts, tokens)
        counts.warn()


@contextmanager
def counted(counts: Cut) -> Iterator[None]:
    """Count the texts that functions cut in this thread, for one warning later."""
    _thread.counts = counts
    try:
        yield
    finally:
        _thread.counts = None


def _callers() -> int:
    """Return the stack level of the code that called this package, for a warning by the caller."""
    level, frame = 1, sys._getframe(1)
    package = __name__.partition(".")[0]
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    return level
