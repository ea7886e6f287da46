"""`chroma backup`, `chroma restore`, `chroma compact`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from ..errors import UnsupportedError
from ..internal.progress import bar
from ..storage.interface.report_repr import size
from ..storage.interface.values import BackupReport
from .output import counted, json_option, print_json, print_table
from .targets import Folder, Target, complete_collection, folder_argument, target

_link = click.option(
    "--link", is_flag=True, help="Share files by hard links: quick, but damage of one is damage of both."
)


@click.command()
@folder_argument
@click.argument("backup", metavar="BACKUP", type=Folder(exists=False))
@_link
@click.option("--verify", is_flag=True, help="Read what is kept of the earlier backup too.")
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Make a new backup in BACKUP, named by the time, and remove all but the newest N there.",
)
@json_option
def backup(folder: str, backup: str, link: bool, verify: bool, keep: int | None, as_json: bool) -> None:
    """Back up a database, even while it is in use, to a new folder or to an earlier backup of it.

    Files that the earlier backup already has are reused. A backup can be opened read-only. chroma check
    verifies a backup, and chroma restore restores a database from it.
    """
    import chroma

    from ..maintenance import backup_series

    settings = Target(folder).settings()
    parent = backup
    if keep is not None:
        os.makedirs(parent, mode=0o700, exist_ok=True)
        backup = os.path.join(parent, backup_series.new_name())
    with chroma.AdminClient(settings) as admin, _bar("backup") as progress:
        # Backs up the whole folder, so that the default database need not exist.
        report = admin._backend.backup(backup, link, verify, progress)
    pruned = [] if keep is None else backup_series.prune(parent, keep)
    _told(report, as_json, f"Backed up {folder} to {backup}")
    if pruned and not as_json:
        click.echo(f"Removed {counted(len(pruned), 'older backup')}: {', '.join(pruned)}")


@click.command()
@click.argument("backup", metavar="BACKUP", type=Folder())
@click.argument("folder", metavar="DIR", type=Folder(exists=False))
@_link
@click.option("--overwrite", is_flag=True, help="Move a database at DIR aside, to DIR.replaced-TIME.")
@json_option
def restore(backup: str, folder: str, link: bool, overwrite: bool, as_json: bool) -> None:
    """Restore a database from a backup, in a new or empty folder.

    The restore builds the database in DIR.restoring and compares every byte with its checksum. The complete
    database then appears at DIR. Run the command again to resume an interrupted restore.
    """
    import chroma

    with _bar("restore") as progress:
        report = chroma.restore(backup, folder, link=link, overwrite=overwrite, progress=progress)
    _told(report, as_json, f"Restored {backup} to {folder}")


@click.command()
@target
@click.argument("collection", metavar="[COLLECTION]", required=False, shell_complete=complete_collection)
@json_option
def compact(target: Target, collection: str | None, as_json: bool) -> None:
    """Flush, merge and index now, and reclaim the space of deleted records.

    Compacts all collections of the database unless one is named. Returns when the work is complete.
    """
    rows: list[dict[str, Any]] = []
    with target.client() as client:
        names = [collection] if collection else [each.name for each in client.list_collections()]
        for name in names:
            chosen = client.get_collection(name)
            before = _bytes(chosen)
            chosen.compact()
            rows.append({"name": name, "before": before, "bytes": _bytes(chosen)})
    if as_json:
        print_json({"target": target.where, "collections": rows})
    else:
        print_table(
            ("name", "before", "after"),
            [(row["name"], _shown(row["before"]), _shown(row["bytes"])) for row in rows],
        )
        if any((row["before"] or 0) < (row["bytes"] or 0) for row in rows):
            click.echo(
                "Those that grew had records in the log only: these are in a segment now, and the new, empty "
                "log takes room, too.",
                err=True,
            )


def _bytes(collection: Any) -> int | None:
    try:
        return int(collection.info().bytes)
    except UnsupportedError:
        return None


def _shown(bytes: int | None) -> str | None:
    return None if bytes is None else size(bytes)


def _told(report: BackupReport, as_json: bool, what: str) -> None:
    if as_json:
        print_json(report._asdict())
        return
    sizes = {how: getattr(report, how) for how in ("copied", "linked", "reused")}
    told = [
        counted(report.collections, "collection"),
        counted(report.files, "file"),
        *(f"{size(bytes)} {how}" for how, bytes in sizes.items() if bytes),
        *([f"{counted(report.removed, 'old file')} removed"] if report.removed else []),
        f"{report.seconds:.1f} s",
    ]
    click.echo(f"{what}: {', '.join(told)}")


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a function that updates a progress bar in bytes. Yields None if stderr is not a terminal."""
    shown_bar = bar(None, what, unit="B")
    if shown_bar is None:
        yield None
        return

    def progress(done: int, total: int) -> None:
        shown_bar.total = total
        shown_bar.update(done - shown_bar.n)

    with shown_bar:
        yield progress
