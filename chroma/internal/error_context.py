"""Appends the name of the called method to errors that occur before the backend is called."""

from __future__ import annotations


class during:
    """Appends ` in <method>.` to the text of any error raised while the `with` block runs.

    Includes errors of embedding functions and data loaders, whose origin is otherwise hard to find. Keeps the
    error's class, traceback and attributes. `during` is a class because every query uses it, and a class
    takes a sixth of the time of a generator.
    """

    __slots__ = ("_method",)

    def __init__(self, method: str) -> None:
        self._method = method

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and error.args and isinstance(error.args[0], str):
            error.args = (f"{error.args[0].removesuffix('.')} in {self._method}.", *error.args[1:])
