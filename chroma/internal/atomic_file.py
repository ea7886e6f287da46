"""Replaces small files atomically, and raises refused writes as WriteFailedError."""

from __future__ import annotations

import os

from ..errors import WriteFailedError


class written_to:
    """Converts any OSError from the `with` block, which writes a file, to WriteFailedError. Only a pipe that
    nobody reads is BrokenPipeError as everywhere.

    The message names the file and ends with `hint`, which describes the state of the work.
    """

    __slots__ = ("_hint", "_path")

    def __init__(self, path: str, hint: str) -> None:
        self._path, self._hint = path, hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, (WriteFailedError, BrokenPipeError)):
            why = error.strerror or str(error)
            raise WriteFailedError(f"cannot write {self._path}: {why}; {self._hint}") from error


def replace_file(path: str, data: bytes) -> None:
    """Replace the content of a file durably. Raises OSError.

    A killed process or a power failure leaves either the old or the new content.
    """
    aside = f"{path}.part"
    with open(aside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    if os.name != "posix":
        return  # other systems cannot sync folders
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
