"""Runs a migration: makes a plan, copies one collection after another, then compares. A journal records each
step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ChromaError, CorruptionError, InvalidArgumentError
from ..internal.progress import bar
from ..storage.interface.values import Records
from ..validation.metadata import check_metadatas
from ..validation.sequences import check_ids
from .migration_checkpoint import Entry, Journal
from .report import MigrationReport, MovedCollection
from .source import Part, Source, SourceCollection
from .target import Target, is_url, taken
from .verification import differences


@dataclass(frozen=True, slots=True)
class Chosen:
    """The selection to copy. If collections are named, only their tenants and databases are included."""

    collections: list[SourceCollection]
    tenants: list[str]
    databases: list[tuple[str, str]]


class Migration:
    """One run of a migration. Planned steps are written to the journal first, finished steps afterwards."""

    def __init__(
        self,
        source: Source,
        target: Target,
        journal: str,
        chosen: Chosen,
        skip_damaged: bool,
    ) -> None:
        self.source = source
        self.target = target
        self.chosen = chosen
        self.collections = chosen.collections
        self.skip_damaged = skip_damaged
        self.report = MigrationReport(source.location, target.location, warnings=list(source.warnings))
        self.fingerprint = dict(source.fingerprint())
        self.journal = self._plan(journal)

    def run(self, progress: bool, compare_all: bool) -> MigrationReport:
        self.target.create_scopes(self.chosen.tenants, self.chosen.databases)
        if not self.report.already_done:
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
        """Return an earlier run's journal, completed, or a new one if all names are free in the target."""
        earlier = Journal.read(path)
        if earlier is not None:
            self._check_same(earlier)
        journal = earlier or Journal(path, self.source.location, self.target.location, self.fingerprint, {})
        fresh = [collection for collection in self.collections if collection.id not in journal.entries]
        for collection in fresh:
            if self.target.find(collection) is not None:
                raise taken(collection, self.target.location)
        for collection in fresh:
            journal.entries[collection.id] = Entry(
                collection.tenant, collection.database, collection.name, collection.id, collection.count
            )
        if fresh or earlier is None:
            journal.write()
        mine = [journal.entries[collection.id] for collection in self.collections]
        self.report.already_done = earlier is not None and all(entry.done for entry in mine)
        return journal

    def _check_same(self, earlier: Journal) -> None:
        """Check that source and target are those of the earlier run.

        A folder may have moved, so the fingerprint identifies it.
        """
        for then, now in ((earlier.source, self.source.location), (earlier.target, self.target.location)):
            if then != now and (is_url(then) or is_url(now)):
                raise InvalidArgumentError(
                    f"{earlier.path} is the journal of the migration from {earlier.source} to "
                    f"{earlier.target}: name another one with journal=… (--journal)"
                )
        known = [entry for c in self.collections if (entry := earlier.entries.get(c.id)) is not None]
        counts = {collection.id: collection.count for collection in self.collections}
        if earlier.fingerprint != self.fingerprint or any(e.count != counts[e.id] for e in known):
            raise InvalidArgumentError(
                f"{self.source.location} is not as it was when the migration into {self.target.location} "
                f"began: it was written to since, or is another one ({earlier.source} then). Begin again "
                f"with an empty target; the journal is {earlier.path}"
            )

    # ------------------------------------------------------------------ copying

    def _copy_all(self, progress: bool) -> None:
        entries = [self.journal.entries[collection.id] for collection in self.collections]
        total = sum(entry.count for entry in entries)
        begun = sum(entry.position for entry in entries)
        shown_bar = bar(progress, total=total, done=begun)
        try:
            for collection, entry in zip(self.collections, entries, strict=True):
                if not entry.done:
                    if shown_bar is not None:
                        shown_bar.set_description(collection.name)
                    self._copy(collection, entry, shown_bar)
        finally:
            if shown_bar is not None:
                shown_bar.close()
        self._check_unchanged()

    def _check_unchanged(self) -> None:
        same = dict(self.source.fingerprint()) == self.fingerprint
        if not same or any(self.source.count(each) != each.count for each in self.collections):
            raise InvalidArgumentError(
                f"{self.source.location} was written to while it was being moved, so that what "
                f"{self.target.location} has may be a mixture: stop what writes, and begin again with an "
                "empty target"
            )

    def _copy(self, collection: SourceCollection, entry: Entry, bar: Any) -> None:
        entry.target = self._made(collection, entry)
        if not self.target.keeps_ids:
            self.journal.write()  # only the journal identifies the new collection
        for part in self.source.read(collection, entry.position, collection.count):
            for row, reason in unfit(part):
                part.lost.setdefault(row, reason)
            if part.lost and not self.skip_damaged:
                raise self._lost(collection, part)
            if dict(self.source.fingerprint()) != self.fingerprint:
                self._check_unchanged()  # raises
            records = _records(part)
            if records.ids:
                self.target.add(collection, entry.target, records)
            self.report.written += len(records.ids)
            self.report.warnings += part.warnings
            entry.lost += [[part.position + row, part.ids[row]] for row in sorted(part.lost)]
            entry.position = part.position + len(part.ids)
            entry.done = entry.position == collection.count
            self.journal.write()
            if bar is not None:
                bar.update(len(part.ids))
        if not entry.done:  # the collection has no records
            entry.done = True
            self.journal.write()

    def _made(self, collection: SourceCollection, entry: Entry) -> str:
        """Return the id of the collection in the target. Creates it unless an interrupted run has done so."""
        found = self.target.find(collection)
        if found is None:
            if entry.position:
                raise InvalidArgumentError(
                    f"the collection {collection.where} was begun, and is gone from "
                    f"{self.target.location}: remove "
                    f"{self.journal.path}, and begin again with an empty target"
                )
            return self.target.make(collection).id
        kept = collection.id if self.target.keeps_ids else found.id
        if found.id != (entry.target or kept):
            raise taken(collection, self.target.location)
        return found.id

    def _lost(self, collection: SourceCollection, part: Part) -> ChromaError:
        """Return the error for lost records. Counts all of them, so that the user can decide once."""
        first = next(iter(part.lost.items()))
        total = 0
        for other in self.source.read(collection, part.position, collection.count):
            total += len({*other.lost, *(row for row, _ in unfit(other))})
        return CorruptionError(
            f"the collection {collection.where} has {total:,} records of {collection.count:,} that "
            "cannot be moved; "
            f"the first is {part.ids[first[0]]!r}: {first[1]}. Pass skip_damaged=True "
            "(--skip-damaged) to leave them "
            "out; what was moved so far stays, and the next call goes on from here",
            self.source.location,
        )

    # ------------------------------------------------------------------ comparing

    def _compare(self, collection: SourceCollection, everything: bool) -> None:
        entry = self.journal.entries[collection.id]
        found = self.target.find(collection)
        if found is None or found.id != entry.target:
            raise CorruptionError(
                f"the collection {collection.where} was moved to {self.target.location}, and is not "
                "there any more"
            )
        lost = [int(row) for row, _ in entry.lost]
        count = self.target.count(collection, found.id)
        if count != collection.count - len(lost):
            raise CorruptionError(
                f"the collection {collection.where} has {count:,} records in {self.target.location}, and "
                f"{collection.count - len(lost):,} were moved: something else writes to it"
            )
        compared, wrong = differences(
            self.source, self.target, collection, id=found.id, lost=lost, everything=everything
        )
        if wrong:
            raise CorruptionError(
                f"the collection {collection.where} in {self.target.location} is not what was moved: "
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
            MovedCollection(
                tenant=collection.tenant,
                database=collection.database,
                name=collection.name,
                id=found.id,
                records=count,
                skipped=skipped,
            )
        )


def _grouped(collections: Sequence[SourceCollection]) -> list[str]:
    """Merge the equal warnings of several collections into one."""
    about: dict[str, list[SourceCollection]] = {}
    for collection in collections:
        for text in collection.warnings:
            about.setdefault(text, []).append(collection)
    return [
        f"collection {those[0].where}{f' and {len(those) - 1:,} others' if len(those) > 1 else ''}: {text}"
        for text, those in about.items()
    ]


def unfit(part: Part) -> Iterator[tuple[int, str]]:
    """Yield the row of each record that this package refuses, and the reason."""
    given = [entry for entry in part.metadatas if entry]
    try:
        check_ids(part.ids, may_be_empty=True)
        if given:
            check_metadatas(given)
    except InvalidArgumentError:
        for row, (id, entry) in enumerate(zip(part.ids, part.metadatas, strict=True)):
            try:
                check_ids([id])
                if entry:
                    check_metadatas([entry])
            except InvalidArgumentError as error:
                yield row, error.message()


def _records(part: Part) -> Records:
    """Return the records of a part to write, without the lost ones."""
    if not part.lost:
        return Records(part.ids, part.vectors, part.documents, part.metadatas, part.uris)
    kept = [row for row in range(len(part.ids)) if row not in part.lost]

    def chosen(column: Sequence[Any]) -> list[Any]:
        return [column[row] for row in kept]

    return Records(
        chosen(part.ids),
        None if part.vectors is None else part.vectors[kept],
        chosen(part.documents),
        chosen(part.metadatas),
        chosen(part.uris),
    )
