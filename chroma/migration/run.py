"""`chroma.migrate`: a plan, then collection after collection, each step noted in a journal, then a
comparison."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import ChromaError, CorruptionError, InvalidArgumentError, InvalidTypeError
from .target import is_url

if TYPE_CHECKING:
    from ..config import Settings
    from .journal import Entry, Journal
    from .source import Part, Source, SourceCollection
    from .target import Target


@dataclass(frozen=True, slots=True)
class MovedCollection:
    """One collection of a report. `id` is its id in the target; `skipped` the ids left out as damaged."""

    tenant: str
    database: str
    name: str
    id: str
    records: int
    skipped: tuple[str, ...] = ()


@dataclass(slots=True)
class MigrationReport:
    """What a migration did.

    records        now in the target, over all collections
    written        by this call; less than `records` when an earlier call had begun, 0 when it had finished
    compared       records that were read from both sides and found equal
    already_done   whether an earlier call had finished, so that this one only compared
    warnings       what did not come over as it was
    """

    source: str
    target: str
    collections: list[MovedCollection] = field(default_factory=list)
    records: int = 0
    written: int = 0
    compared: int = 0
    seconds: float = 0.0
    already_done: bool = False
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `chroma migrate --json` prints them."""
        return asdict(self)

    def __str__(self) -> str:
        what = "was moved before; compared again" if self.already_done else f"moved in {self.seconds:,.1f} s"
        lines = [
            f"{len(self.collections):,} collections, {self.records:,} records: {what}; "
            f"{self.compared:,} records compared, all equal"
        ]
        lines += [f"Note: {text}" for text in self.warnings]
        return "\n".join(lines)


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
    """Bring over what a folder or a server of Chroma holds: tenants, databases, collections with their ids,
    metadata, configuration and embedding function, and all records in order, vectors bit for bit.

    source        a folder that chromadb 0.4 to 1.5 wrote, which is only read; or the URL of a server
    target        a folder, made if it is missing; or the URL of a server, where collections get new ids
    tenants       only these. Default: all of a folder; of a server, which lists none, the caller's own
    collections   only those of these names. Default: all
    progress      a bar on the error output
    skip_damaged  leave out records that cannot be read or kept, and report their ids, instead of raising
    compare_all   compare all records afterwards, not a sample
    journal       where to note how far it has come. Default: migration.json in the target folder; for a URL
                  chroma-migration.json in the working directory
    source_settings, target_settings  credentials and time limits for URLs; see Settings

    Called again after it was interrupted, however hard, it goes on where it stopped; after it has
    finished, it only compares. Raises NotADatabaseError or CorruptionError for a source that cannot be read,
    UniqueConstraintError when the target has a collection of the same name from elsewhere,
    InvalidArgumentError for records that cannot be kept or a source that was written to since the
    migration began.
    """
    begun = time.monotonic()
    source_place, target_place = _place(source, "source"), _place(target, "target")
    for argument, names in (("tenants", tenants), ("collections", collections)):
        if isinstance(names, str):
            raise InvalidTypeError(f"Expected {argument} to be a list of names, got the text {names!r}")
    if not is_url(source_place) and not is_url(target_place):
        if os.path.realpath(source_place) == os.path.realpath(target_place):
            raise InvalidArgumentError(
                f"source and target are both {source_place!r}: the source is never written to, "
                "choose another folder"
            )
    opened = _open_source(source_place, source_settings, tenants)
    try:
        chosen = _chosen(opened, tenants, collections)
        from .target import Target

        into = Target(target_place, target_settings)
        try:
            path = _journal_path(journal, into)
            report = _Migration(opened, into, path, chosen, skip_damaged).run(progress, compare_all)
        finally:
            into.close()
    finally:
        opened.close()
    report.seconds = time.monotonic() - begun
    return report


def _place(given: str | os.PathLike[str], argument: str) -> str:
    if not isinstance(given, (str, os.PathLike)) or not str(given):
        raise InvalidTypeError(f"Expected {argument} to be a path or a URL, got {given!r}")
    return os.fspath(given)


def _journal_path(given: str | os.PathLike[str] | None, target: Target) -> str:
    from .journal import NAME

    if given is not None:
        return os.fspath(given)
    return f"chroma-{NAME}" if target.is_url else os.path.join(target.place, NAME)


def _open_source(place: str, settings: Settings | None, tenants: Sequence[str] | None) -> Source:
    if is_url(place):
        from .server import ServerSource

        return ServerSource(place, settings, tenants)
    from .folder import FolderSource

    return FolderSource(place)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is asked for. With names of collections, only the tenants and databases that these need."""

    collections: list[SourceCollection]
    tenants: list[str]
    databases: list[tuple[str, str]]


def _chosen(source: Source, tenants: Sequence[str] | None, names: Sequence[str] | None) -> _Chosen:
    """Raises InvalidArgumentError for names that the source does not have."""
    found = source.collections()
    places = source.tenants()
    for argument, wanted, known in (
        ("tenants", tenants, set(places)),
        ("collections", names, {collection.name for collection in found}),
    ):
        missing = sorted(set(wanted or ()) - known)
        if missing:
            raise InvalidArgumentError(
                f"{argument} names {', '.join(map(repr, missing))}, which {source.place} does not have; "
                f"it has {', '.join(map(repr, sorted(known))) or 'none'}"
            )
    kept = [
        collection
        for collection in found
        if (not tenants or collection.tenant in tenants) and (not names or collection.name in names)
    ]
    if names:
        databases = list(dict.fromkeys((collection.tenant, collection.database) for collection in kept))
        return _Chosen(kept, list(dict.fromkeys(tenant for tenant, _ in databases)), databases)
    wanted_tenants = [tenant for tenant in places if not tenants or tenant in tenants]
    return _Chosen(
        kept, wanted_tenants, [place for place in source.databases() if place[0] in wanted_tenants]
    )


class _Migration:
    """One run. The journal is written before what it announces and after what it reports."""

    def __init__(
        self,
        source: Source,
        target: Target,
        journal: str,
        chosen: _Chosen,
        skip_damaged: bool,
    ) -> None:
        self.source = source
        self.target = target
        self.chosen = chosen
        self.collections = chosen.collections
        self.skip_damaged = skip_damaged
        self.report = MigrationReport(source.place, target.place, warnings=list(source.warnings))
        self.fingerprint = dict(source.fingerprint())
        self.journal = self._plan(journal)

    def run(self, progress: bool, compare_all: bool) -> MigrationReport:
        self.report.already_done = self.journal.done
        if not self.journal.done:
            self.target.make_places(self.chosen.tenants, self.chosen.databases)
            self._copy_all(progress)
        for collection in self.collections:
            self._compare(collection, compare_all)
        self.report.warnings += _grouped(self.collections)
        if not self.target.keeps_ids and self.collections:
            self.report.warnings.append(
                "the collections have new ids: a server does not take them from outside"
            )
        return self.report

    # ------------------------------------------------------------------ the plan

    def _plan(self, path: str) -> Journal:
        """The journal of an earlier run, completed; or a new one, once no name is taken."""
        from .journal import Entry, Journal
        from .target import taken

        earlier = Journal.read(path)
        if earlier is not None:
            self._check_same(earlier)
        journal = earlier or Journal(path, self.source.place, self.fingerprint, {})
        fresh = [collection for collection in self.collections if collection.id not in journal.entries]
        for collection in fresh:
            if self.target.find(collection) is not None:
                raise taken(collection, self.target.place)
        for collection in fresh:
            journal.entries[collection.id] = Entry(
                collection.tenant, collection.database, collection.name, collection.id, collection.count
            )
        if fresh or earlier is None:
            journal.write()
        return journal

    def _check_same(self, earlier: Journal) -> None:
        if earlier.source != self.source.place and is_url(earlier.source) != is_url(self.source.place):
            raise InvalidArgumentError(
                f"{earlier.path} belongs to a migration from {earlier.source}: choose another target "
                "or journal"
            )
        if earlier.fingerprint != self.fingerprint:
            raise InvalidArgumentError(
                f"{self.source.place} is not as it was when the migration into {self.target.place} "
                "began: it was "
                f"written to since, or is another one ({earlier.source} then). Begin again with an "
                "empty target, "
                f"or with another one; the journal is {earlier.path}"
            )

    # ------------------------------------------------------------------ copying

    def _copy_all(self, progress: bool) -> None:
        from tqdm import tqdm

        entries = [self.journal.entries[collection.id] for collection in self.collections]
        total = sum(entry.count for entry in entries)
        begun = sum(entry.position for entry in entries)
        with tqdm(total=total, initial=begun, unit=" records", disable=not progress, file=sys.stderr) as bar:
            for collection, entry in zip(self.collections, entries, strict=True):
                if not entry.done:
                    bar.set_description(collection.name)
                    self._copy(collection, entry, bar.update)
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        if dict(self.source.fingerprint()) != self.fingerprint:
            raise InvalidArgumentError(
                f"{self.source.place} was written to while it was being moved, so that what "
                f"{self.target.place} has "
                "may be a mixture: stop what writes, and begin again with an empty target"
            )

    def _copy(self, collection: SourceCollection, entry: Entry, advance: Callable[[int], object]) -> None:
        entry.target = self._made(collection, entry)
        self.journal.write()
        for part in self.source.read(collection, entry.position, collection.count):
            for place, reason in unfit(part):
                part.lost.setdefault(place, reason)
            if part.lost and not self.skip_damaged:
                raise self._lost(collection, part)
            if not is_url(self.source.place):  # a server would be asked too much
                self._check_unchanged()
            records = _records(part)
            if records.ids:
                self.target.add(collection, entry.target, records)
            self.report.written += len(records.ids)
            self.report.warnings += part.warnings
            entry.lost += [[part.position + place, part.ids[place]] for place in sorted(part.lost)]
            entry.position = part.position + len(part.ids)
            self.journal.write()
            advance(len(part.ids))
        entry.done = True
        self.journal.write()

    def _made(self, collection: SourceCollection, entry: Entry) -> str:
        """The collection in the target: made now, or by an earlier run that was killed before it noted it."""
        from .target import taken

        found = self.target.find(collection)
        if found is None:
            if entry.position:
                raise InvalidArgumentError(
                    f"the collection {collection.where} was begun, and is gone from "
                    f"{self.target.place}: remove "
                    f"{self.journal.path}, and begin again with an empty target"
                )
            return self.target.make(collection).id
        ours = {entry.target} if entry.target else {collection.id} if self.target.keeps_ids else {found.id}
        if found.id not in ours:
            raise taken(collection, self.target.place)
        return found.id

    def _lost(self, collection: SourceCollection, part: Part) -> ChromaError:
        """Counts what else is lost, so that the decision can be made once."""
        first = next(iter(part.lost.items()))
        total = 0
        for other in self.source.read(collection, part.position, collection.count):
            total += len({*other.lost, *(place for place, _ in unfit(other))})
        return CorruptionError(
            f"the collection {collection.where} has {total:,} records of {collection.count:,} that "
            "cannot be moved; "
            f"the first is {part.ids[first[0]]!r}: {first[1]}. Pass skip_damaged=True "
            "(--skip-damaged) to leave them "
            "out; what was moved so far stays, and the next call goes on from here",
            self.source.place,
        )

    # ------------------------------------------------------------------ comparing

    def _compare(self, collection: SourceCollection, everything: bool) -> None:
        from .compare import differences

        entry = self.journal.entries[collection.id]
        found = self.target.find(collection)
        if found is None or found.id != entry.target:
            raise CorruptionError(
                f"the collection {collection.where} was moved to {self.target.place}, and is not "
                "there any more"
            )
        lost = [int(place) for place, _ in entry.lost]
        count = self.target.count(collection, found.id)
        if count != collection.count - len(lost):
            raise CorruptionError(
                f"the collection {collection.where} has {count:,} records in {self.target.place}, and "
                f"{collection.count - len(lost):,} were moved: something else writes to it"
            )
        compared, wrong = differences(self.source, self.target, collection, found.id, lost, everything)
        if wrong:
            raise CorruptionError(
                f"the collection {collection.where} in {self.target.place} is not what was moved: "
                f"{'; '.join(wrong)}"
            )
        self.report.compared += compared
        self.report.records += count
        skipped = tuple(str(id) for _, id in entry.lost)
        if skipped:
            self.report.warnings.append(
                f"collection {collection.where}: {len(skipped):,} records were left out: "
                f"{', '.join(map(repr, skipped[:5]))}{', …' if len(skipped) > 5 else ''}"
            )
        self.report.collections.append(
            MovedCollection(collection.tenant, collection.database, collection.name, found.id, count, skipped)
        )


def _grouped(collections: Sequence[SourceCollection]) -> list[str]:
    """What is said of several collections in the same words is said once."""
    about: dict[str, list[SourceCollection]] = {}
    for collection in collections:
        for text in collection.warnings:
            about.setdefault(text, []).append(collection)
    return [
        f"collection {those[0].where}{f' and {len(those) - 1:,} others' if len(those) > 1 else ''}: {text}"
        for text, those in about.items()
    ]


def unfit(part: Part) -> Iterator[tuple[int, str]]:
    """Records that this package does not take, with the reason, by row."""
    from ..columns import check_ids
    from ..metadata import check_metadatas

    given = [entry for entry in part.metadatas if entry]
    try:
        check_ids(part.ids, may_be_empty=True)
        if given:
            check_metadatas(given)
    except InvalidArgumentError:
        for place, (id, entry) in enumerate(zip(part.ids, part.metadatas, strict=True)):
            try:
                check_ids([id])
                if entry:
                    check_metadatas([entry])
            except InvalidArgumentError as error:
                yield place, error.message()


def _records(part: Part) -> Any:
    """What is written of a part."""
    from ..storage.types import Records

    if not part.lost:
        return Records(part.ids, part.vectors, part.documents, part.metadatas, part.uris)
    kept = [place for place in range(len(part.ids)) if place not in part.lost]

    def chosen(column: Sequence[Any]) -> list[Any]:
        return [column[place] for place in kept]

    return Records(
        chosen(part.ids),
        None if part.vectors is None else part.vectors[kept],
        chosen(part.documents),
        chosen(part.metadatas),
        chosen(part.uris),
    )
