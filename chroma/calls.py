"""The name of the method, appended to what goes wrong before the backend is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def during(method: str) -> Iterator[None]:
    """Appends ` in <method>.` to the text of any error raised inside.

    Also to errors of embedding functions and data loaders, whose origin is otherwise hard
    to tell. Keeps class, traceback and attributes.
    """
    try:
        yield
    except Exception as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (f"{error.args[0].removesuffix('.')} in {method}.", *error.args[1:])
        raise
