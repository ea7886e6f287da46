"""`chroma.migrate`: checks the arguments and runs a `Migration`."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing

from ..config import Settings
from ..errors import InvalidArgumentError, InvalidTypeError
from .chromadb_sqlite import readable
from .migration import Chosen, Migration
from .migration_checkpoint import NAME
from .report import MigrationReport
from .source import Source
from .target import Target, is_url


def migrate(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    tenants: Sequence[str] | None = None,
    collections: Sequence[str] | None = None,
    progress: bool = True,
    skip_damaged: bool = False,
    compare_all: bool = False,
    journal: str | os.PathLike[str] | None = None,
    source_settings: Settings | None = None,
    target_settings: Settings | None = None,
) -> MigrationReport:
    """Copy the data of a chromadb folder or server: tenants, databases, collections and records.

    Collections keep their ids, metadata, configuration and embedding function. Records keep their order,
    and vectors are equal bit for bit.

    source        a folder that chromadb 0.4 to 1.5 wrote, which is only read; or the URL of a server
    target        a folder, created if missing; or the URL of a server, where collections get new ids
    tenants       tenants to copy. Default: all tenants of a folder; the caller's own tenant on a server,
                  because a server does not list tenants
    collections   names of the collections to copy. Default: all
    progress      show a progress bar on stderr if tqdm is installed
    skip_damaged  skip records that cannot be read or stored, and report their ids, instead of raising
    compare_all   compare all records afterwards instead of a sample
    journal       the file that records progress. Default: migration.json in the target folder; for a URL
                  chroma-migration.json in the working directory
    source_settings, target_settings  credentials and time limits for URLs; see Settings

    A call after an interruption of any kind resumes the migration. A call after its end only compares.
    Raises NotADatabaseError or CorruptionError if the source cannot be read, UniqueConstraintError if the
    target has a collection of the same name from another source, and InvalidArgumentError for a record
    that cannot be stored, or if the source was written to since the migration began.
    """
    begun = time.monotonic()
    source_location, target_location = _location(source, "source"), _location(target, "target")
    for argument, names in (("tenants", tenants), ("collections", collections)):
        if isinstance(names, str):
            raise InvalidTypeError(f"Expected {argument} to be a list of names, got the text {names!r}")
    if _same(source_location, target_location):
        raise InvalidArgumentError(
            f"source and target are both {source_location!r}: the source is never written to, choose another "
            "target"
        )
    with (
        readable(source_location),
        closing(_open_source(source_location, source_settings, tenants)) as opened,
    ):
        chosen = _chosen(opened, tenants, collections)
        with closing(Target(target_location, target_settings)) as into:
            path = _journal_path(journal, into)
            report = Migration(opened, into, path, chosen, skip_damaged).run(progress, compare_all)
    report.seconds = time.monotonic() - begun
    return report


def _location(given: str | os.PathLike[str], argument: str) -> str:
    if not isinstance(given, (str, os.PathLike)) or not str(given):
        raise InvalidTypeError(f"Expected {argument} to be a path or a URL, got {given!r}")
    return os.fspath(given)


def _same(source: str, target: str) -> bool:
    if is_url(source) or is_url(target):
        return source.rstrip("/") == target.rstrip("/")
    return os.path.realpath(source) == os.path.realpath(target)


def _journal_path(given: str | os.PathLike[str] | None, target: Target) -> str:
    if given is not None:
        return os.fspath(given)
    return f"chroma-{NAME}" if target.is_url else os.path.join(target.location, NAME)


def _open_source(location: str, settings: Settings | None, tenants: Sequence[str] | None) -> Source:
    if is_url(location):
        from .server_source import ServerSource

        return ServerSource(location, settings, tenants)
    from .chromadb_folder import FolderSource

    return FolderSource(location)


def _chosen(source: Source, tenants: Sequence[str] | None, names: Sequence[str] | None) -> Chosen:
    """Select the collections to copy. Raises InvalidArgumentError for names that the source does not have."""
    found = source.collections()
    all_tenants = source.tenants()
    for argument, given, known in (
        ("tenants", tenants, set(all_tenants)),
        ("collections", names, {collection.name for collection in found}),
    ):
        missing = sorted(set(given or ()) - known)
        if missing:
            raise InvalidArgumentError(
                f"{argument} names {', '.join(map(repr, missing))}, which {source.location} does not have; "
                f"it has {', '.join(map(repr, sorted(known))) or 'none'}"
            )
    kept = [
        collection
        for collection in found
        if (not tenants or collection.tenant in tenants) and (not names or collection.name in names)
    ]
    if names:
        databases = list(dict.fromkeys((collection.tenant, collection.database) for collection in kept))
        return Chosen(kept, list(dict.fromkeys(tenant for tenant, _ in databases)), databases)
    chosen_tenants = [tenant for tenant in all_tenants if not tenants or tenant in tenants]
    return Chosen(
        kept, chosen_tenants, [database for database in source.databases() if database[0] in chosen_tenants]
    )
