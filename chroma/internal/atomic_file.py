"""Small files that are replaced as a whole, and what it means when the system refuses to write one."""

from __future__ import annotations

import os

from ..errors import WriteFailedError


class written_to:
    """A block that writes a file. What the system refuses is raised as WriteFailedError, which names the file
    and says what `hint` has to say of the work that it was for."""

    __slots__ = ("_hint", "_path")

    def __init__(self, path: str, hint: str) -> None:
        self._path, self._hint = path, hint

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, WriteFailedError):
            why = error.strerror or str(error)
            raise WriteFailedError(f"cannot write {self._path}: {why}; {self._hint}") from error


def replace_file(path: str, data: bytes) -> None:
    """Durable on return: a process that is killed, or a power cut, leaves the old content or the new. Raises
    OSError."""
    aside = f"{path}.part"
    with open(aside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    if os.name != "posix":
        return  # folders are not synced there
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
