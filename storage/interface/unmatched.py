"""Reports unmatched keys: keys in a request that no record has, or that no record has with that type.

Owns: the warning. It points at the code outside this package that made the call. A server collects the
reports of a request instead, and sends them with its response.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_PACKAGE = __name__.partition(".")[0]
_collected: ContextVar[list[str] | None] = ContextVar("chroma_unmatched", default=None)


class UnmatchedKeyWarning(UserWarning):
    """A read names a key that no record has, or compares a key with values of a type that it never has."""

    __module__ = f"{_PACKAGE}.errors"  # where programs import it


def report(messages: Sequence[str]) -> None:
    """Add the messages to the list of the caller that collects them in this thread or task.

    If nobody does, warn."""
    collected = _collected.get()
    if collected is not None:
        collected.extend(messages)
        return
    for message in messages:
        warnings.warn(message, UnmatchedKeyWarning, stacklevel=_level_of_caller())


@contextmanager
def collected() -> Iterator[list[str]]:
    """Collect the messages that are reported in the `with` block."""
    messages: list[str] = []
    token = _collected.set(messages)
    try:
        yield messages
    finally:
        _collected.reset(token)


def _level_of_caller() -> int:
    """Return the stack level, as `report` counts it, of the first frame outside this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level
