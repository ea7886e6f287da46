"""Limits the time of backend calls in a repr."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import ClosedError, NotFoundError
from ..rendering.html import said

# The maximum seconds for a repr. The user waits for it, and may not have requested it.
PATIENCE = 5.0


def ask(questions: Callable[[], None], seconds: float | None = None) -> str | None:
    """Run `questions`, which stores each response on arrival. Returns None, or the reason it did not finish.

    After the time limit, `questions` continues in its thread, and its results are ignored.
    """
    limit = PATIENCE if seconds is None else seconds
    failed: list[BaseException] = []

    def run() -> None:
        try:
            questions()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="chroma-repr", daemon=True)
    thread.start()
    thread.join(limit)
    if failed:
        return worded(failed[0])
    return f"no more is known after {limit:g} seconds" if thread.is_alive() else None


def worded(error: BaseException) -> str:
    """Return the reason for a failed call as text."""
    if isinstance(error, ClosedError):
        return "the client was closed"
    if isinstance(error, NotFoundError):
        return f"not there any longer ({error})"
    return said(error)
