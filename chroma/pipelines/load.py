"""One load: its source, its progress and its counts. The caller writes the records."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import pyarrow as pa

from ..embedding.chunking import of_option
from ..errors import IDAlreadyExistsError, InvalidArgumentError, InvalidTypeError
from ..internal.progress import bar
from ..storage.interface.short_repr import shown
from ..storage.interface.values import CollectionInfo, Mode, Written
from ..tables import is_table, readers
from ..tables.to_records import Mapped, mapping
from ..validation.names import check_int
from ..validation.write_batch import Batch
from . import csv_columns, csv_reader, file_discovery, file_objects
from .csv_columns import Columns
from .csv_records import check_dialect
from .file_discovery import File
from .file_readers import QUOTE, Cuts, Reading
from .load_checkpoint import Journal
from .rejects import Rejects
from .reports import LoadReport
from .stages import Embed, Feed, Plan, Ready, Source
from .text_files import check_encoding
from .text_types import named

OnConflict = Literal["error", "skip", "upsert"]
_BATCH_BYTES = 64 << 20  # bytes of vectors in a part, if batch_size is not given
_MOST_ROWS, _LEAST_ROWS = 10_000, 100
_SOONER = 10  # the first part is smaller by this factor
_TEXTS = ("id", "document", "uri")  # parts of a record that a CSV file always holds as texts
_STORED = "the id is stored already"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadArguments:
    """The unchecked arguments of a load."""

    source: Any
    columns: Any
    on_conflict: Any
    batch_size: Any
    format: Any
    filesystem: Any
    types: Any
    separator: Any
    quoting: Any
    encoding: Any
    transform: Callable[[Any], Any] | None
    rejects: Any
    max_rejects: Any
    progress: bool | None
    restart: bool
    job: str | None
    split: Any = None


class Load:
    """One load. For each part, call `next`, `begin`, `wrote` once per written batch, and `checkpoint`."""

    def __init__(
        self,
        *,
        info: CollectionInfo,
        journal: Journal,
        rejects: Rejects,
        feed: Feed,
        on_conflict: OnConflict,
        shown_bar: Any,
    ) -> None:
        self._info, self._journal = info, journal
        self._rejects, self._feed, self._bar = rejects, feed, shown_bar
        self.mode: Mode = "upsert" if on_conflict == "upsert" else "add"
        self._strict = on_conflict == "error"
        self._begun = time.perf_counter()
        self._resumed = journal.state.rows
        self._again = journal.state.begun > 0  # the first part may be stored already, fully or partly
        self._seen: set[str] = set()  # the ids of such a part that were written again
        self._bad = 0  # bad rows of the current part
        self._estimated = shown_bar is not None and shown_bar.total is None

    @classmethod
    def open(
        cls,
        info: CollectionInfo,
        given: LoadArguments,
        *,
        folder: str | None,
        embed: Embed,
        function: Any = None,
    ) -> Load:
        """Check all arguments, find the source and the journal, and start reading.

        function  the embedding function, by whose tokens documents are divided
        """
        if given.on_conflict not in ("error", "skip", "upsert"):
            raise InvalidArgumentError(
                f"Expected on_conflict to be 'error', 'skip' or 'upsert', got {shown(given.on_conflict)}"
            )
        if given.transform is not None and not callable(given.transform):
            raise InvalidTypeError(f"Expected transform to be a function, got {shown(given.transform)}")
        if given.job is not None and (not isinstance(given.job, str) or not given.job):
            raise InvalidTypeError(f"Expected job to be a name for the load, got {shown(given.job)}")
        if check_int(given.max_rejects, "max_rejects") < 0:
            raise InvalidArgumentError(f"Expected max_rejects to be 0 or more, got {given.max_rejects}")
        size = _size(given.batch_size, info.dimension)
        spans = of_option(function, given.split)
        mapped = mapping(given.columns)
        reading = _reading(given, mapped)
        path = (
            None
            if given.rejects is None
            else os.path.abspath(file_discovery.check_path(given.rejects, "rejects"))
        )
        found = _source(given.source, given.format, given.filesystem, path, mapped.embedding)
        has_names = file_discovery.is_source(given.source)
        identity = {
            "collection": info.id,
            "source": file_discovery.named(given.source, given.filesystem) if has_names else given.job,
            "parts": mapped.parts,
            "metadata": mapped.metadata,
            "on_conflict": given.on_conflict,
        }
        _check_options(given, found)
        if not has_names and given.job is None:
            folder = None  # nothing tells that a later call has the same source
        for mode in get_args(OnConflict) if given.restart else ():
            Journal.discard(folder, identity | {"on_conflict": mode})
        journal = Journal.open(
            folder,
            identity,
            stamps=[file.file_version() for file in found.files],
            reading=_told(given, found),
            restart=given.restart,
        )
        state = journal.state
        feed = None
        try:
            types = _column_types(found.files, reading, given, mapped, journal)
            reject = Rejects(path, given.max_rejects)
            reject.begin(state.rejects if state.rejects_path == path else 0)
            state.rejects_path = path
            total = found.total()
            shown_bar = bar(
                given.progress,
                info.name,
                total=total,
                done=state.rows,
                unit=" rows",
                option="progress=True",
            )
            # Without an earlier run, the first part is small, so that writing begins early.
            first = state.begun or (0 if state.rows else max(size // _SOONER, min(size, _LEAST_ROWS)))
            plan = Plan(
                reading=replace(reading, types=types),
                transform=given.transform,
                mode="upsert" if given.on_conflict == "upsert" else "add",
                strict=given.on_conflict == "error",
                mapped=mapped,
                dimension=info.dimension,
                embed=embed,
                enough=reject.enough,
                spans=spans,
            )
            feed = Feed(found, state.file, state.row, Cuts(size, first, state.begun > 0), plan)
            return cls(
                info=info,
                journal=journal,
                rejects=reject,
                feed=feed,
                on_conflict=given.on_conflict,
                shown_bar=shown_bar,
            )
        except BaseException:
            if feed is not None:
                feed.close()
            journal.close()
            raise

    def next(self) -> Ready | None:
        """Return the next part. None at the end."""
        if self._feed.waits():
            self._journal.write()  # uses the time until the next part is ready
        return self._feed.next(self._progress)

    def _progress(self) -> None:
        """Show the rows that are embedded, or written: embedding takes most of the time."""
        if self._bar is None:
            return
        rows = max(self._journal.state.rows, self._resumed + self._feed.done())
        if rows > self._bar.n:
            if self._bar.total is not None:
                self._bar.total = max(self._bar.total, rows)
            self._bar.update(rows - self._bar.n)

    def begin(self, ready: Ready, known: set[str]) -> list[Batch]:
        """Return the batches of a part to write. `known`: its ids that are already stored.

        Raises IDAlreadyExistsError for stored ids with on_conflict="error", and InvalidArgumentError for bad
        rows. With a file for rejected rows, both are written to it, unless there are too many.
        """
        state = self._journal.state
        before = known if state.conflicts is None else known.intersection(state.conflicts)
        conflicts = before if self._again else known
        bad, batches = ready.bad, [group.batch for group in ready.groups]
        if self._strict and conflicts:
            if self._rejects.path is None and not bad:
                raise IDAlreadyExistsError(
                    f"{len(conflicts):,} of the ids of {ready.name} are stored already, as "
                    f"{shown(sorted(conflicts)[0])}: pass on_conflict='skip' to keep what is "
                    "stored, 'upsert' to replace it, or rejects='rejects.jsonl'"
                )
            told = [entry for group in ready.groups for entry in group.bad(conflicts, _STORED)]
            bad = sorted([*bad, *told], key=lambda entry: entry.row)
            batches = [batch.without(conflicts) for batch in batches]
        self._rejects.add(ready.name, bad, state.rejected)
        self._bad = len(bad)
        batches = [batch for batch in batches if batch.ids]
        if batches and not self._again:
            state.begun = ready.rows
            state.conflicts = None if len(conflicts) == len(ready.ids()) else sorted(conflicts)
            self._journal.changed()
            self._journal.write()
        return batches

    def wrote(self, batch: Batch, written: Written) -> None:
        """Count a batch that is now durable."""
        state = self._journal.state
        untold = written == Written()  # some servers do not report what they wrote
        if self._again or untold:  # this load may have written the rows before it was killed, or now
            ids = set(batch.ids)
            old = ids if state.conflicts is None else ids.intersection(state.conflicts)
            old = old | (ids & self._seen)
            self._seen |= ids
            written = Written(len(ids) - len(old), len(old), 0)
            if self.mode == "add":
                written = Written(written.added, 0, written.updated)
        state.added += written.added
        state.updated += written.updated
        if self._strict:
            state.added += written.skipped  # skipped by a request that was repeated
        else:
            state.skipped += written.skipped

    def checkpoint(self, ready: Ready) -> None:
        """Record that a whole part is durable."""
        state = self._journal.state
        state.rejects = self._rejects.size
        state.rejected += self._bad
        state.file, state.row = ready.file, ready.row
        state.rows += ready.rows
        state.skipped += ready.repeated
        state.begun, state.conflicts = 0, []
        self._again, self._seen = False, set()
        self._journal.changed()
        if self._bar is not None:
            if self._estimated and ready.share:
                self._bar.total = max(state.rows, round(state.rows / ready.share))
            self._progress()

    def finish(self) -> LoadReport:
        """End the load after the last part. Returns its report."""
        self._journal.finish()
        self._feed.cut.warn()
        state = self._journal.state
        return LoadReport(
            collection=self._info.name,
            rows=state.rows,
            added=state.added,
            updated=state.updated,
            skipped=state.skipped,
            rejected=state.rejected,
            resumed=self._resumed,
            seconds=time.perf_counter() - self._begun,
            rejects=self._rejects.path,
            types=self._feed.types(),
        )

    def close(self) -> None:
        """Stop reading, and record the progress."""
        try:
            self._feed.close()
        finally:
            self._journal.close()
            if self._bar is not None:
                self._bar.close()


def _size(batch_size: Any, dimension: int | None) -> int:
    if batch_size is not None:
        if check_int(batch_size, "batch_size") < 1:
            raise InvalidArgumentError(f"Expected batch_size to be 1 or more, got {batch_size}")
        return int(batch_size)
    return max(_LEAST_ROWS, min(_MOST_ROWS, _BATCH_BYTES // (4 * (dimension or 1))))


def _source(source: Any, format: Any, filesystem: Any, rejects: str | None, embedding: str) -> Source:
    if isinstance(source, (list, tuple)) and not source:
        raise InvalidArgumentError("Expected source to name something, got an empty list")
    if file_discovery.is_source(source):
        return Source(file_discovery.find(source, format, filesystem, without=rejects))
    if file_objects.is_readable(source):
        return Source([file_objects.source(source, format)])
    if is_table(source):
        return Source([], readers.reader(source, embedding), _row_count(source))
    if hasattr(source, "__iter__") and not isinstance(source, (dict, bytes)):
        return Source([], _joined(source, embedding))
    raise InvalidTypeError(
        "Expected source to be a path, a URL, a list of these, a file object, a table or an iterator of "
        "record batches, "
        f"got {shown(source)}"
    )


def _row_count(table: Any) -> int | None:
    """Return the number of rows of a table that is in memory."""
    if hasattr(table, "num_rows"):
        return int(table.num_rows)
    # Other tables compute their rows, or read them from elsewhere, when they are asked for anything.
    return len(table) if type(table).__name__ == "DataFrame" else None


def _joined(tables: Any, embedding: str) -> Any:
    """Yield the batches of an iterator of batches or tables of any kind."""
    for item in tables:
        if not is_table(item):
            raise InvalidTypeError(
                f"the iterator gave {shown(item)}: expected record batches, tables or dataframes; "
                "pyarrow.Table.from_pylist makes a table of dicts"
            )
        yield from readers.table(item, embedding).to_batches()


def _types(types: Any) -> Mapping[str, pa.DataType]:
    """Return Arrow types by column name, given as types or by their Arrow names: {"zip": "string"}."""
    if types is None:
        return {}
    if not isinstance(types, Mapping):
        raise InvalidTypeError(f"Expected types to be a dict as {{'zip': 'string'}}, got {shown(types)}")
    found = {}
    for name, value in types.items():
        try:
            found[name] = value if isinstance(value, pa.DataType) else pa.type_for_alias(value)
        except (ValueError, TypeError):
            raise InvalidArgumentError(
                f"types[{name!r}] is {shown(value)}: expected an Arrow type, or its name as 'string', "
                "'int64', 'float64' or 'bool'"
            ) from None
        if not csv_reader.can_be_read(found[name]):
            raise InvalidArgumentError(
                f"types[{name!r}] is {found[name]}, which a cell of a CSV file cannot hold: say 'string', "
                "and convert the column with transform="
            )
    return found


def _reading(given: LoadArguments, mapped: Mapped) -> Reading:
    """Check the arguments that say how text files are read."""
    check_dialect(given.separator, given.quoting)
    texts = dict.fromkeys((mapped.parts.get(part, part) for part in (*_TEXTS, "embedding")), pa.string())
    return Reading(
        types={**texts, **_types(given.types)},
        separator=given.separator,
        quoting=given.quoting,
        encoding=check_encoding(given.encoding),
    )


def _check_options(given: LoadArguments, found: Source) -> None:
    """Raise InvalidArgumentError for an argument that says how to read files that are not in the source."""
    formats = {file.format for file in found.files}
    defaults = {"types": None, "separator": None, "quoting": QUOTE}
    for name, default in defaults.items() if "csv" not in formats else ():
        if (value := getattr(given, name)) != default:
            raise InvalidArgumentError(f"{name}={shown(value)} is for CSV, and the source has no CSV file")
    if given.encoding is not None and formats.isdisjoint(("csv", "jsonl")):
        raise InvalidArgumentError(
            f"encoding={shown(given.encoding)} is for CSV and JSON lines, and the source has no such file"
        )


def _told(given: LoadArguments, found: Source) -> dict[str, Any]:
    """Return the arguments that decide how rows are read, for the journal."""
    return {
        "format": given.format,
        "separator": given.separator,
        "quoting": given.quoting,
        "encoding": check_encoding(given.encoding),
        "transform": None if given.transform is None else "a function",
        "split": given.split or None,
        "the type of a folder's column": _partition_types(found.files),
    }


def _partition_types(files: Sequence[File]) -> dict[str, str]:
    return {name: named(value.type) for file in files for name, value in file.partition.items()}


def _column_types(
    files: Sequence[File], reading: Reading, given: LoadArguments, mapped: Mapped, journal: Journal
) -> dict[str, pa.DataType]:
    """Return the types of all columns of CSV files, as an earlier run found them, or by reading the files."""
    state, given_types = journal.state, {name: named(kind) for name, kind in _types(given.types).items()}
    kept = state.columns if state.columns is not None and state.columns["given"] == given_types else None
    columns = Columns() if kept is None else Columns.restored(kept)
    if kept is None or not journal.same_files:
        columns.look(
            [file for file in files[state.file if kept else 0 :] if file.format == "csv"],
            reading,
            None if given.transform else mapped.metadata,
            [] if given.transform else csv_columns.required(mapped),
        )
    types = columns.types(reading.types)
    if kept is None:
        csv_columns.check_types(given_types, columns.names)
    journal.check_types({name: named(kind) for name, kind in types.items()})
    seen = {name: named(kind) for name, kind in types.items() if columns.has_values(name)}
    state.columns = {**columns.kept(), "given": given_types, "types": seen}
    return types
