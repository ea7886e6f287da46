"""File objects that a caller opened, such as standard input, as the source or the target of a pipeline."""

from __future__ import annotations

import io
import shutil
import tempfile
from typing import Any

import pyarrow as pa

from ..errors import InvalidArgumentError, InvalidTypeError
from ..storage.interface.short_repr import shown
from .file_discovery import FORMATS, File, Format, format_of


def is_readable(value: Any) -> bool:
    """Whether a value is a file object to read from."""
    return hasattr(value, "read") and not hasattr(value, "schema")


def is_writable(value: Any) -> bool:
    """Whether a value is a file object to write to."""
    return hasattr(value, "write")


def name_of(value: Any) -> str:
    """Return the name of a file object, as it says it."""
    name = getattr(value, "name", None)
    return name if isinstance(name, str) else "<file object>"


def check_binary(value: Any, mode: str) -> None:
    """Raise InvalidTypeError for a file object of texts."""
    if isinstance(value, io.TextIOBase):
        raise InvalidTypeError(f"{name_of(value)} is open for texts: open it with mode {mode!r}")


def source(value: Any, format: str | None) -> File:
    """Return a file object as a file. Its rows begin where it stands."""
    check_binary(value, "rb")
    kind: Format | None = format_of(name_of(value), format)
    if kind is None or kind not in FORMATS.values():
        raise InvalidArgumentError(
            f"Expected format to be one of {', '.join(sorted(set(FORMATS.values())))} for "
            f"{name_of(value)}, got {shown(format)}"
        )
    return File(name_of(value), kind, 0, None, _Opened(value, read_once=kind == "jsonl"))


class _Opened:
    """A file system of one file. A file that is read more than once is copied to a temporary file first."""

    def __init__(self, value: Any, read_once: bool) -> None:
        self._value, self._read_once = value, read_once

    def open_input_file(self, path: str) -> pa.NativeFile:
        if self._read_once:
            return pa.PythonFile(_Once(self._value), mode="r")
        if not isinstance(self._value, _Copy):
            self._value = _Copy(self._value)
        return pa.PythonFile(self._value.from_start(), mode="r")


class _Copy:
    """A copy of the rest of a file object. Closing it keeps the copy for the next reader."""

    closed = False

    def __init__(self, value: Any) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `__del__` closes it
        shutil.copyfileobj(value, self._file, 1 << 20)
        self.read, self.seek, self.tell = self._file.read, self._file.seek, self._file.tell

    def from_start(self) -> _Copy:
        self._file.seek(0)
        return self

    def close(self) -> None:
        """Do nothing."""

    def __del__(self) -> None:
        self._file.close()


class _Once:
    """A file object that is read once. Its first bytes can be read again, which tells the compression."""

    closed = False

    def __init__(self, value: Any) -> None:
        self._value, self._head, self._at = value, b"", 0

    def read(self, size: int) -> bytes:
        if self._at < len(self._head):
            found = self._head[self._at : self._at + size]
        else:
            found = self._value.read(size) or b""
            self._head = found if not self._at else self._head
        self._at += len(found)
        return found

    def seek(self, at: int, whence: int = 0) -> int:
        if at or whence or self._at > len(self._head):
            raise InvalidArgumentError("the file object can be read once only")
        self._at = 0
        return 0

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        """Do nothing. The caller closes the file object."""


class Written:
    """A file object that is written to. Counts the bytes."""

    closed = False

    def __init__(self, value: Any) -> None:
        check_binary(value, "wb")
        self._value, self.bytes = value, 0

    def write(self, data: Any) -> int:
        """Write all of the bytes. Standard output without a buffer takes some of them at a time."""
        left = memoryview(data)
        self.bytes += len(left)
        while len(left):
            taken = self._value.write(left)
            left = left[len(left) if taken is None else taken :]
        return len(data)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        self._value.flush()

    def close(self) -> None:
        """Flush. The caller closes the file object."""
        self.flush()
