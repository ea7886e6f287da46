"""The name of the method, appended to what goes wrong before the backend is asked."""

from __future__ import annotations


class during:
    """A block that appends ` in <method>.` to the text of any error raised inside.

    Also to errors of embedding functions and data loaders, whose origin is otherwise hard
    to tell. Keeps class, traceback and attributes. A class, for it is on the path of every
    query and costs a sixth of a generator.
    """

    __slots__ = ("_method",)

    def __init__(self, method: str) -> None:
        self._method = method

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and error.args and isinstance(error.args[0], str):
            error.args = (f"{error.args[0].removesuffix('.')} in {self._method}.", *error.args[1:])
