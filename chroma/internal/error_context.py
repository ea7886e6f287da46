"""Names the called method in errors that occur before the backend is called, and shortens their tracebacks.

An error of this package gets the method in front of its text: "add: …". Other errors, such as those of an
embedding function or a data loader, keep their text and arguments. From Python 3.11 on they get a note that
names the method.
"""

from __future__ import annotations

import sys
from types import TracebackType

from ..errors import ChromaError, InvalidArgumentError

# The frames of an error about an argument are of these packages, unless code of the caller was called.
_WITHOUT_INTEREST = frozenset(("chroma", "asyncio", "concurrent", "contextlib", "threading"))


class during:
    """Names the method in every error that is raised while the `with` block runs.

    Keeps the error's class and attributes. `during` is a class because every query uses it, and a class
    takes a sixth of the time of a generator.
    """

    __slots__ = ("_method",)

    def __init__(self, method: str) -> None:
        self._method = method

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            return
        if isinstance(error, ChromaError):
            if error.args and isinstance(error.args[0], str):
                error.args = (f"{self._method}: {error.args[0]}", *error.args[1:])
                error.method = self._method
            if isinstance(error, InvalidArgumentError) and trace is not None:
                _shorten(trace)
        elif isinstance(error, Exception) and sys.version_info >= (3, 11):
            error.add_note(f"This was raised while {self._method}() of chroma ran.")


def _shorten(trace: TracebackType) -> None:
    """Cut what lies below the public method: the message says all that a caller can use.

    Nothing is cut if code of the caller was called on the way, such as an embedding function. Nor is anything
    cut if Python runs in development mode (`python -X dev`).
    """
    if sys.flags.dev_mode:
        return
    inner = trace.tb_next
    while inner is not None:
        if str(inner.tb_frame.f_globals.get("__name__")).partition(".")[0] not in _WITHOUT_INTEREST:
            return
        inner = inner.tb_next
    trace.tb_next = None
