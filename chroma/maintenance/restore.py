"""`chroma.restore`: restores a database from a backup that `client.backup` created."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..internal.distribution import full
from ..storage.interface.values import BackupReport
from ..validation.names import check_path
from ..validation.read_arguments import check_bool


def restore(
    backup: str | Path,
    path: str | Path,
    *,
    link: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> BackupReport:
    """Restore a database from a backup.

    backup     a folder that `client.backup` has written; it is only read
    path       the folder of the new database; missing or empty
    link       share immutable files with the backup through hard links; default: copy them
    overwrite  move an existing database at `path` to PATH.replaced-TIME instead of raising
    progress   called with the number of bytes restored so far and the total

    The restore builds the database in PATH.restoring and compares every byte with its checksum. The complete
    database then appears at `path` in one step. An interrupted restore resumes in PATH.restoring. Raises
    NotADatabaseError if the backup is not complete, InvalidArgumentError if `path` is taken, and
    CorruptionError if data are damaged.
    """
    for name, value in (("link", link), ("overwrite", overwrite)):
        check_bool(value, name)
    source, target = check_path(backup, "backup"), check_path(path, "path")
    with full("Restoring", "restore on the machine where the backup is"):
        from ..embedded.backend import restore_folder
        from ..embedded.error_translation import translated
    with translated():
        return restore_folder(source, target, link, overwrite, progress)
