"""Questions that a repr asks: with an end, whatever the one who is asked does."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..errors import ClosedError, NotFoundError
from ..rendering.html import said

# How long a repr may take. Somebody waits for it, and may not even have asked for it.
PATIENCE = 5.0


def ask(questions: Callable[[], None], seconds: float | None = None) -> str | None:
    """Runs `questions`, which notes the answers as they come. None if it ended, else why not, in words.

    What takes longer goes on in its thread, and nobody looks at it any more.
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
    """Why a question has no answer."""
    if isinstance(error, ClosedError):
        return "the client was closed"
    if isinstance(error, NotFoundError):
        return f"not there any longer ({error})"
    return said(error)
