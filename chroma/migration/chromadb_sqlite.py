"""Opens chromadb's SQLite file without changing its folder, in whatever state the folder is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import ChromaError, CorruptionError, InvalidArgumentError, NotADatabaseError

FILE = "chroma.sqlite3"
_SIDECARS = ("-wal", "-journal")
_MAGIC = b"SQLite format 3\0"
_WRITE_AHEAD = 2  # value of the two bytes at offset 18 if the database uses a write-ahead log


class readable:
    """Raises errors of SQLite and the operating system as CorruptionError while the `with` block runs."""

    __slots__ = ("_folder",)

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ChromaError):
            return
        named = isinstance(error, OSError) and str(error.filename).startswith(self._folder)
        if named or isinstance(error, sqlite3.Error):
            why = getattr(error, "strerror", None) or str(error)
            raise CorruptionError(f"{self._folder} cannot be read: {why}", self._folder) from error


def open_database(folder: str) -> tuple[sqlite3.Connection, Callable[[], None]]:
    """Return a read-only connection, and a function to call after the connection is closed.

    SQLite writes if it finds a leftover log or journal, so in this case it opens a copy. If a database in
    write-ahead mode has no log, it is opened as immutable, because SQLite would otherwise create the log.
    """
    check_folder(folder)
    path = os.path.join(folder, FILE)
    head = _head(path)
    if any(_size(path + suffix) for suffix in _SIDECARS):
        copied = tempfile.mkdtemp(prefix="chroma-migrate-")
        try:
            for suffix in ("", *_SIDECARS):
                if os.path.exists(path + suffix):
                    shutil.copyfile(path + suffix, os.path.join(copied, FILE + suffix))
            connection = sqlite3.connect(os.path.join(copied, FILE), isolation_level=None)
        except BaseException:
            shutil.rmtree(copied, ignore_errors=True)
            raise
        return connection, lambda: shutil.rmtree(copied, ignore_errors=True)
    mode = "mode=ro&immutable=1" if _WRITE_AHEAD in head[18:20] else "mode=ro"
    uri = f"{Path(path).resolve().as_uri()}?{mode}"
    return sqlite3.connect(uri, uri=True, isolation_level=None), lambda: None


def check_folder(folder: str) -> None:
    """Raise an error that says what the folder is, if it is not a chromadb folder."""
    if not os.path.isdir(folder):
        raise InvalidArgumentError(
            f"Expected source to be a folder or a URL, and there is no folder {folder!r}"
        )
    if os.path.exists(os.path.join(folder, FILE)):
        return
    if os.path.exists(os.path.join(folder, "catalog.json")):
        raise InvalidArgumentError(
            f"source {folder!r} is a database of this package already: open it with PersistentClient"
        )
    older = "chroma-collections.parquet"
    if os.path.exists(os.path.join(folder, older)):
        raise NotADatabaseError(
            f"{folder} was written by chromadb before 0.4 ({older}): bring it to 0.4 with the package "
            "chroma-migrate of that time first"
        )
    raise NotADatabaseError(f"{folder} is no folder of chromadb: it has no {FILE}")


def holders(folder: str) -> list[str]:
    """Return a warning for each other process that has the database open. Works only on Linux."""
    if not sys.platform.startswith("linux"):
        return []
    try:
        expected = os.stat(os.path.join(folder, FILE))
        processes = [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]
    except OSError:
        return []
    found = []
    for process in processes:
        opened = f"/proc/{process}/fd"
        try:
            numbers = os.listdir(opened)
        except OSError:  # another user's process, or one that has ended
            continue
        if any(_is_same(os.path.join(opened, number), expected) for number in numbers):
            found.append(
                f"process {process} has {folder} open: what it writes from now on may be missed; stop it, or "
                "migrate from its server's URL"
            )
    return found


def _is_same(path: str, expected: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), expected)
    except OSError:
        return False


def state_of(folder: str) -> Mapping[str, Any]:
    """Return values that change with every write, because the SQLite file counts its changes."""
    path = os.path.join(folder, FILE)
    sizes = {suffix: _size(path + suffix) for suffix in ("", *_SIDECARS)}
    return {"changes": int.from_bytes(_head(path)[24:28], "big"), "bytes": sum(sizes.values())}


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            head = file.read(100)
    except OSError as error:
        raise CorruptionError(f"{path} cannot be read: {error.strerror}", path) from error
    if len(head) < 100 or not head.startswith(_MAGIC):
        raise CorruptionError(f"{path} is damaged: it does not begin as a SQLite database does", path, 0)
    return head


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
