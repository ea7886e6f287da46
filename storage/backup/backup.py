"""Back up a database folder, and restore a database from a backup.

A backup is a database folder that contains `backup.json`, which makes it read-only. A backup is written in
place, possibly over an earlier one; copy.py describes the state after a crash. A restored database is first
written beside its destination and then moved to it.
"""

from __future__ import annotations

import itertools
import os.path
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from ..catalog import catalog
from ..catalog.catalog import Catalog, CatalogState
from ..interface.errors import InvalidArgument, NotADatabase, StorageError, WriteFailed
from ..interface.values import BackupReport
from ..io import safe_open
from ..io.disk import DiskFolder
from ..io.safe_open import check_path
from .copy import Copier, Progress
from .marker import MARK, Mark

LOCK = "backup.lock"


def backup(
    source: DiskFolder,
    source_catalog: Catalog,
    path: str,
    *,
    link: bool = False,
    verify: bool = False,
    progress: Progress | None = None,
) -> BackupReport:
    """Copy the database to a folder that is new, empty, or an earlier backup of the same database.

    source_catalog  the catalog of the source
    link            share immutable files as hard links if the file system supports them
    verify          read the files that are kept from the earlier backup, and replace damaged ones
    """
    began = time.monotonic()
    check_path(path)
    here, there = os.path.realpath(source.path), os.path.realpath(path)
    _check_apart(here, there)
    target = DiskFolder(there)
    state = source_catalog.copy()
    earlier = _check_target(target, here, state)
    target.create()
    with _alone(target):
        if earlier is None:
            Mark(here, None).save(target)
        copier = Copier(
            source,
            target,
            lambda id: source_catalog.collection(id) is not None,
            link=link,
            verify=verify,
            progress=progress,
        )
        copier.run(state)
        Mark(here, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())).save(target)
    return copier.report(path, state.count(), began)


def restore(
    backup: str, path: str, link: bool = False, overwrite: bool = False, progress: Progress | None = None
) -> BackupReport:
    """Restore a database from a backup.

    The database is written to a folder beside its destination, with every byte checked, and then moved to it.

    overwrite  move an existing database aside, to PATH.replaced-TIME
    """
    began = time.monotonic()
    check_path(path)
    here, there = os.path.realpath(backup), os.path.realpath(path)
    _check_apart(here, there)
    source, destination = DiskFolder(here), DiskFolder(there)
    mark = Mark.load(source)
    if mark is None:
        raise NotADatabase(f"{backup} is no backup: it has no {MARK}. `chroma backup DIR {backup}` makes one")
    if mark.finished is None or not source.exists(catalog.NAME):
        raise NotADatabase(f"{backup} was not finished; make the backup again, then restore it")
    taken = bool(destination.names()) if destination.exists() else False
    if taken and not overwrite:
        raise InvalidArgument(
            f"{path} is not empty: choose another folder, or overwrite (--overwrite), which moves it aside"
        )
    if taken and not (destination.exists(catalog.NAME) or destination.exists("collections")):
        raise NotADatabase(f"{path} is not empty and holds no database: choose another folder")
    staged = DiskFolder(f"{there}.restoring")
    safe_open.check_file(staged.path)
    staged.create()
    with closing(Catalog(source)) as source_catalog, _alone(staged):
        state = source_catalog.copy()
        copier = Copier(
            source,
            staged,
            lambda id: source_catalog.collection(id) is not None,
            link=link,
            verify=True,
            progress=progress,
        )
        copier.run(state)
        staged.remove(LOCK)
        _move_in(staged, destination, taken)
    return copier.report(path, state.count(), began)


def _move_in(staged: DiskFolder, destination: DiskFolder, taken: bool) -> None:
    """Move the restored folder to its destination. If that fails, move the earlier folder back."""
    aside = DiskFolder(_free_name(f"{destination.path}.replaced-{time.strftime('%Y%m%d-%H%M%S')}"))
    made = staged.file_version("")
    try:
        if taken:
            _swap(staged, destination, aside)
        else:
            staged.move(destination.path)
    except StorageError as error:
        if made is not None and (destination.file_version("") or (0,))[0] == made[0]:
            why = str(error).rstrip(".")
            raise WriteFailed(
                f"{destination.path} is restored, but a power cut might still undo it: {why}. Run `sync` to "
                "make sure, or restore again with overwrite (--overwrite)"
            ) from error
        if not destination.exists():
            aside.move(destination.path)
        elif not staged.exists():
            aside.move(staged.path)
        raise WriteFailed(
            f"{staged.path} is complete, but cannot be moved to {destination.path}: {error}"
        ) from error


def _swap(staged: DiskFolder, destination: DiskFolder, aside: DiskFolder) -> None:
    """Move the existing database aside, and the restored one to its destination.

    If the system can exchange two names, there is always a complete database at the destination, even if the
    process is killed.
    """
    staged.move(aside.path)
    if aside.exchange(destination):
        return
    aside.move(staged.path)
    destination.move(aside.path)
    staged.move(destination.path)


def _free_name(path: str) -> str:
    """Return the path, or the path with the first numeric suffix that makes it unused."""
    tries = (path if number == 1 else f"{path}-{number}" for number in itertools.count(1))
    return next(each for each in tries if not DiskFolder(each).exists())


def _check_apart(one: str, other: str) -> None:
    if one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/"):
        raise InvalidArgument(f"{one} and {other} must be two folders, none within the other")


def _check_target(target: DiskFolder, source: str, state: CatalogState) -> Mark | None:
    """Return the marker of the earlier backup, if any. Raises for a folder with other contents."""
    if all(name == LOCK or name.endswith(".tmp") for name in target.names()):  # empty, or barely begun
        return None
    mark = Mark.load(target)
    if mark is None:
        what = "a database, but no backup" if target.exists(catalog.NAME) else "something else"
        raise InvalidArgument(f"{target.path} holds {what}: back up to a new folder, or to an earlier backup")
    if mark.finished is not None and not _akin(target, mark.source == source, state):
        raise InvalidArgument(
            f"{target.path} holds a backup of another database, {mark.source}: choose another folder"
            if mark.source != source
            else f"{target.path} holds a backup of collections none of which is in {source} any more, not "
            "even by name: it is kept, since the database may have been lost; back up to a new folder"
        )
    return mark


def _akin(target: DiskFolder, same_destination: bool, state: CatalogState) -> bool:
    """Whether an earlier backup is of the same database as the new one.

    Two backups are of the same database if they share a collection by id. If the source folder is the same,
    they may also share a collection by name, because some collections are recreated every night. A database
    that is unexpectedly empty may be on a disk that is not mounted, or in a folder that was lost.
    """
    present = set(target.child("collections").names())
    if not present or state.collections.keys() & present:
        return True
    if not same_destination:
        return False
    with closing(Catalog(target)) as earlier:
        before = earlier.copy()
    return not before.collections or any(
        names.keys() & state.names.get(scope, {}).keys() for scope, names in before.names.items()
    )


@contextmanager
def _alone(target: DiskFolder) -> Iterator[None]:
    with target.lock(LOCK, wait=False) as free:
        if not free:
            raise WriteFailed(f"another process is writing to {target.path}; wait until it has finished")
        yield
