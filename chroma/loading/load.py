"""One load: what it reads, how far it is, what it has done. Whoever runs it does the writing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import pyarrow as pa

from ..columns import shown
from ..errors import IDAlreadyExistsError, InvalidArgumentError, InvalidTypeError
from ..names import check_int
from ..records import Batch
from ..storage.types import CollectionInfo, Mode, Written
from ..tables import is_table, sources
from ..tables.records import mapping
from . import files
from .feed import Embed, Feed, Ready, Source
from .journal import Journal
from .parts import Bad
from .rejects import Rejects
from .reports import LoadReport

OnConflict = Literal["error", "skip", "upsert"]
_BATCH_BYTES = 64 << 20  # of vectors in a part, where batch_size is not given
_MOST_ROWS, _LEAST_ROWS = 10_000, 100


class Load:
    """Between `open` and `close`: take a part with `next`, have `accepted` what it has batch by batch, tell
    what was `wrote`, then `settle` it."""

    def __init__(
        self,
        info: CollectionInfo,
        source: Source,
        journal: Journal,
        rejects: Rejects,
        feed: Feed,
        on_conflict: OnConflict,
        bar: Any,
    ) -> None:
        self._info, self._source, self._journal = info, source, journal
        self._rejects, self._feed, self._bar = rejects, feed, bar
        self.mode: Mode = "upsert" if on_conflict == "upsert" else "add"
        self.strict = on_conflict == "error"
        self._begun = time.perf_counter()
        self._resumed = journal.state.rows
        self._again = journal.state.begun  # the first part may be stored already, wholly or in part

    @classmethod
    def open(
        cls,
        info: CollectionInfo,
        source: Any,
        *,
        columns: Any,
        on_conflict: Any,
        batch_size: Any,
        format: Any,
        filesystem: Any,
        types: Any,
        transform: Callable[[Any], Any] | None,
        rejects: Any,
        max_rejects: Any,
        progress: bool | None,
        restart: bool,
        job: str | None,
        folder: str | None,
        embed: Embed,
    ) -> Load:
        """Check all arguments, find the source and the journal, and begin to read."""
        if on_conflict not in ("error", "skip", "upsert"):
            raise InvalidArgumentError(
                f"Expected on_conflict to be 'error', 'skip' or 'upsert', got {shown(on_conflict)}"
            )
        if transform is not None and not callable(transform):
            raise InvalidTypeError(f"Expected transform to be a function, got {shown(transform)}")
        if check_int(max_rejects, "max_rejects") < 0:
            raise InvalidArgumentError(f"Expected max_rejects to be 0 or more, got {max_rejects}")
        size = _size(batch_size, info.dimension)
        mapped = mapping(columns)
        found = _source(source, format, filesystem)
        path = None if rejects is None else files.check_path(rejects, "rejects")
        stamps = [file.stamp() for file in found.files]
        identity = {
            "collection": info.id,
            "source": [file.path for file in found.files] or job,
            "parts": mapped.parts,
            "metadata": mapped.metadata,
            "on_conflict": on_conflict,
        }
        journal = Journal.open(folder if found.files or job else None, identity, [] if restart else stamps)
        if restart:
            journal.state.stamps = stamps
        state = journal.state
        reject = Rejects(path, max_rejects)
        reject.cut(state.rejects)
        strict = on_conflict == "error"
        mode: Mode = "upsert" if on_conflict == "upsert" else "add"
        total = found.total()
        feed = Feed(
            found,
            state.file,
            state.row,
            size,
            _types(types),
            transform,
            mode,
            strict,
            mapped,
            info.dimension,
            embed,
        )
        bar = _bar(progress, total, state.rows, info.name)
        return cls(info, found, journal, reject, feed, on_conflict, bar)

    def next(self) -> Ready | None:
        """The next part, None at the end."""
        return self._feed.next()

    def accepted(self, ready: Ready, batch: Batch, known: set[str]) -> Batch | None:
        """What may be written of a batch, if anything. `known`: which of its ids are stored, if that matters.

        Raises IDAlreadyExistsError for those, if there is no file for rejected rows.
        """
        if not self.strict:
            return batch
        state = self._journal.state
        taken = known & set(state.conflicts) if self._again else known
        if taken:
            if self._rejects.path is None:
                raise IDAlreadyExistsError(
                    f"{len(taken)} of the ids of {ready.name} are stored already, as "
                    f"{shown(sorted(taken)[0])}: pass on_conflict='skip' to keep what is "
                    "stored, 'upsert' to replace it, or rejects='rejects.jsonl'"
                )
            ready.bad.extend(
                Bad(ready.row, "the id is stored already", {"id": id}) for id in batch.ids if id in taken
            )
            batch = batch.without(taken)
        if not self._again:
            state.begun, state.conflicts = True, sorted(taken)
            self._journal.write()
        return batch if batch.ids else None

    def wrote(self, written: Written) -> None:
        """A batch is durable."""
        state = self._journal.state
        state.added += written.added
        state.updated += written.updated
        if self.strict:
            state.added += written.skipped  # by this load, before it was killed
        else:
            state.skipped += written.skipped

    def settle(self, ready: Ready) -> None:
        """All of a part is durable. Raises InvalidArgumentError for its bad rows, if these are too many."""
        state = self._journal.state
        state.rejects = self._rejects.add(ready.name, ready.bad, state.rejected)
        state.rejected += len(ready.bad)
        state.file, state.row = ready.file, ready.row
        state.rows += ready.rows
        state.skipped += ready.repeated
        state.begun, state.conflicts, self._again = False, [], False
        self._journal.write()
        if self._bar is not None:
            self._bar.update(ready.rows)

    def finish(self) -> LoadReport:
        """The source is at its end."""
        self._journal.finish()
        state = self._journal.state
        return LoadReport(
            self._info.name,
            state.rows,
            state.added,
            state.updated,
            state.skipped,
            state.rejected,
            self._resumed,
            time.perf_counter() - self._begun,
            self._rejects.path,
        )

    def close(self) -> None:
        """Stop reading."""
        self._feed.close()
        if self._bar is not None:
            self._bar.close()


def _size(batch_size: Any, dimension: int | None) -> int:
    if batch_size is not None:
        if check_int(batch_size, "batch_size") < 1:
            raise InvalidArgumentError(f"Expected batch_size to be 1 or more, got {batch_size}")
        return int(batch_size)
    return max(_LEAST_ROWS, min(_MOST_ROWS, _BATCH_BYTES // (4 * (dimension or 1))))


def _source(source: Any, format: Any, filesystem: Any) -> Source:
    if files.is_source(source):
        return Source(files.find(source, format, filesystem))
    if is_table(source):
        return Source([], sources.reader(source))
    if hasattr(source, "__iter__") and not isinstance(source, (dict, bytes)):
        return Source([], _joined(source))
    raise InvalidTypeError(
        f"Expected source to be a path, a URL, a list of these, a table or an iterator of record batches, "
        f"got {shown(source)}"
    )


def _joined(tables: Any) -> Any:
    """An iterator of batches or tables of any kind."""
    for item in tables:
        if not is_table(item):
            raise InvalidTypeError(
                f"the iterator gave {shown(item)}: expected record batches, tables or dataframes"
            )
        yield from sources.table(item).to_batches()


def _types(types: Any) -> Mapping[str, pa.DataType]:
    """Arrow types by name, given as such or as Arrow calls them: {"zip": "string"}."""
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
    return found


def _bar(progress: bool | None, total: int | None, done: int, name: str) -> Any:
    if progress is False or (progress is None and not (sys.stderr.isatty() or "ipykernel" in sys.modules)):
        return None
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=done, unit=" rows", unit_scale=True, desc=name)
