"""A folder of backups of one database, each in a folder named by the time of its start, and their pruning.

Owns: the names of these folders, which of them are backups, and their removal. Folders with other names are
never touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from calendar import timegm
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ChromaError, InvalidArgumentError

_FORM = "%Y-%m-%dT%H-%M-%SZ"
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")
_REMOVED = ".removed-"
_MARK = "backup.json"


class BackupRuns(ChromaError):
    """Another backup to the same folder is running."""

    wire_name = "BackupRuns"
    status = 409


@contextmanager
def alone(folder: str | Path) -> Iterator[None]:
    """Refuse a second backup to the folder while one runs, also in another process.

    A call of a server that was answered with 504 goes on. Who then tries again would fill the disk with
    copies. Raises BackupRuns.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupRuns(
                f"a backup to {folder} is running: wait until it has ended. GET /metrics of the server shows "
                "when, as chroma_last_backup_timestamp_seconds"
            ) from None
        yield
    finally:
        os.close(descriptor)


def new_name() -> str:
    """The name of a backup that starts now."""
    return time.strftime(_FORM, time.gmtime())


def names(folder: str | Path) -> list[str]:
    """The finished backups in the folder, the oldest first. A missing folder has none."""
    return sorted(name for name, _ in _finished(folder))


def last(folder: str | Path) -> float:
    """When the newest backup was finished, in seconds since 1970. 0 if there is none."""
    return max((moment for _, moment in _finished(folder)), default=0.0)


def prune(folder: str | Path, keep: int) -> list[str]:
    """Remove all finished backups but the newest `keep`, and return the names of the removed ones.

    A backup gets another name before its files are removed, so that an interrupted removal leaves nothing
    that looks like a backup. The next call removes the rest.
    """
    if keep < 1:
        raise InvalidArgumentError(f"keep is {keep}: expected at least 1 backup to keep")
    parent = Path(folder)
    old = names(parent)[:-keep]
    for name in old:
        os.replace(parent / name, parent / f"{_REMOVED}{name}")
    for entry in parent.glob(f"{_REMOVED}*"):
        if _NAME.fullmatch(entry.name.removeprefix(_REMOVED)) and not entry.is_symlink():
            shutil.rmtree(entry)
    return old


def _finished(folder: str | Path) -> Iterator[tuple[str, float]]:
    """The name of each finished backup, and when it was finished."""
    if not os.path.isdir(folder):
        return
    for entry in os.scandir(folder):
        if _NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            finished = _moment(Path(entry.path, _MARK))
            if finished is not None:
                yield entry.name, finished


def _moment(mark: Path) -> float | None:
    try:
        finished = json.loads(mark.read_bytes()).get("finished")
        return None if finished is None else timegm(time.strptime(finished, "%Y-%m-%dT%H:%M:%SZ"))
    except (FileNotFoundError, ValueError, AttributeError, TypeError):  # not made by this package, or damaged
        return None
