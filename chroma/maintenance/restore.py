"""`chroma.restore`: a database out of a backup. Backups are made by `client.backup`."""

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
    """Make a database of a backup.

    backup     a folder that `client.backup` has filled; it is only read
    path       a folder that is new or empty
    link       share immutable files with the backup by hard links; default: copies
    overwrite  move a database that is at the path aside, to PATH.replaced-TIME, instead of refusing
    progress   called with the bytes done so far, and all

    Every byte is compared with its checksum before the database appears at the path, at once and whole; until
    then it is in PATH.restoring, where a restore that was interrupted goes on. Raises NotADatabaseError for
    what is no finished backup, InvalidArgumentError for a path that is taken, CorruptionError for damage.
    """
    for name, value in (("link", link), ("overwrite", overwrite)):
        check_bool(value, name)
    source, target = check_path(backup, "backup"), check_path(path, "path")
    with full("Restoring", "restore on the machine where the backup is"):
        from ..embedded.backend import restore_folder
        from ..embedded.error_translation import translated
    with translated():
        return restore_folder(source, target, link, overwrite, progress)
