"""Reads, converts and embeds the parts of a source ahead of the writer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from ..embedding.chunking import Spans
from ..embedding.core.cut_texts import Cut, counted
from ..errors import InvalidArgumentError
from ..internal.progress import hidden
from ..storage.interface.values import Floats, Mode
from ..tables.shared_values import weigh_all
from ..tables.to_records import Mapped
from ..validation.write_batch import Batch, filled, lacking
from . import file_readers
from .chunks import Bad, Group, Part, Rows, sort
from .file_discovery import File
from .file_readers import Cuts, Reading
from .pace import Pace
from .prefetch import Ahead, close_all
from .split_documents import divided, with_keys
from .text_types import named

T = TypeVar("T")
Embed = Callable[[Sequence[str]], Floats]
_DEPTH = 1  # parts that wait between two steps
_MOST_WEIGHT = 2 << 30  # maximum bytes of the values in a part
STREAM = "the stream"  # the name in messages for a source that is not a file


@dataclass(frozen=True, slots=True)
class Ready:
    """A part that is ready to be written. It ends before row `row` of file number `file`.

    rows      number of source rows in the part; `repeated` of them are skipped because of an earlier equal id
    share     the fraction of the source's bytes read so far; None if unknown
    """

    file: int
    row: int
    rows: int
    name: str
    share: float | None
    groups: list[Group]
    repeated: int
    bad: list[Bad]

    def ids(self) -> list[str]:
        """Return the distinct ids of all groups."""
        if len(self.groups) == 1:
            return self.groups[0].batch.ids
        return list(dict.fromkeys(id for group in self.groups for id in group.batch.ids))


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a load: files, or a stream of record batches. `rows` is its number of rows, if known.

    partition_types  the columns that folders of the files held, so far, and their types
    """

    files: Sequence[File]
    stream: Any = None
    rows: int | None = None
    partition_types: dict[str, str] = field(default_factory=dict)

    def name(self, file: int) -> str:
        """Return the name of a file for messages."""
        return self.files[file].path if self.files else STREAM

    def parts(
        self, file: int, row: int, cuts: Cuts, reading: Reading
    ) -> Iterator[tuple[int, Part, float | None]]:
        """Yield parts from a row of a file, with the file's number and the fraction read so far."""
        if self.stream is not None:
            yield from ((0, part, None) for part in file_readers.rows(self.stream, 0, row, cuts))
            return
        size = sum(each.size or 0 for each in self.files)
        before = sum(each.size or 0 for each in self.files[:file])
        for number in range(file, len(self.files)):
            start = row if number == file else 0
            for part, read in file_readers.read(self.files[number], start, cuts, reading):
                yield (
                    number,
                    self._with_partition(part, self.files[number]),
                    (before + read) / size if size else None,
                )
            before += self.files[number].size or 0

    def _with_partition(self, part: Part, file: File) -> Part:
        columns = part.without_own(file.partition) if file.partition else None
        if not columns:
            return part
        self.partition_types.update({name: named(value.type) for name, value in columns.items()})
        return part.beside(columns)

    def total(self) -> int | None:
        """Return the number of rows. None if it is unknown without reading them."""
        if self.stream is not None:
            return self.rows
        counts = [file_readers.count_rows(file) for file in self.files]
        known = [count for count in counts if count is not None]
        return sum(known) if known and len(known) == len(counts) else None


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings for the conversion of rows to records."""

    reading: Reading
    transform: Callable[[Any], Any] | None
    mode: Mode
    strict: bool
    mapped: Mapped
    dimension: int | None
    embed: Embed
    enough: int
    spans: Spans | None = None  # what divides documents


class Feed:
    """Yields the parts of a source in order, starting at any row. Three threads work ahead: one reads, one
    converts, one embeds.

    If texts have to be embedded, parts are divided into smaller ones of a few seconds of work each. An
    interrupt thus loses little work.
    """

    def __init__(self, source: Source, file: int, row: int, cuts: Cuts, plan: Plan) -> None:
        self._source, self._plan, self._dimension = source, plan, plan.dimension
        self._ended = threading.Event()
        self._pace = Pace()
        self.cut = Cut()
        self._done = 0  # rows whose texts are embedded
        self._records = 1.0  # records per row, if documents are divided
        self._whole = cuts.begun  # whether the next part may be stored already, and so must not be divided
        self._embeds = (
            True  # whether the part, or the one before if a transform changes it, has texts to embed
        )
        self._read = self._ahead(source.parts(file, row, cuts, plan.reading), "read")
        self._checked = self._ahead(self._converted(self._divided(self._read), file, row), "convert")
        self._embedded = self._ahead(map(self._with_vectors, self._checked), "embed")

    def _ahead(self, items: Iterator[T], name: str) -> Ahead[T]:
        return Ahead(items, _DEPTH, f"chroma-load-{name}", self._ended)

    def waits(self) -> bool:
        """Whether the next part is not ready yet."""
        return self._embedded.empty()

    def next(self, meanwhile: Callable[[], None]) -> Ready | None:
        """Return the next part. None at the end. Raises the error of its reading, conversion or embedding.

        While the part is not ready, `meanwhile` is called again and again.
        """
        return self._embedded.take(meanwhile)

    def done(self) -> int:
        """Return the number of rows whose texts are embedded so far."""
        return self._done

    def types(self) -> dict[str, str]:
        """Return the types of the columns that come from CSV files or from names of folders."""
        return {name: named(kind) for name, kind in self._plan.reading.types.items()} | (
            self._source.partition_types
        )

    def close(self) -> None:
        """End the threads after they finish their current work."""
        close_all((self._read, self._checked, self._embedded))

    def _divided(
        self, parts: Iterator[tuple[int, Part, float | None]]
    ) -> Iterator[tuple[int, Part, float | None]]:
        """Divide parts with texts to embed. A transform tells only with its result whether there are any."""
        before = 0.0
        for number, part, share in parts:
            rows = len(part.row_numbers)
            if self._plan.transform is None:
                self._embeds = not part.has_vectors(self._plan.mapped.embedding)
            whole, self._whole, begin = self._whole, False, 0
            while not whole and self._embeds and (end := begin + self._rows_of_part()) < rows:
                yield number, part.piece(begin, end), _between(before, share, end / rows)
                begin = end
            yield number, part.piece(begin, rows) if begin else part, share
            before = share or 0.0

    def _rows_of_part(self) -> int:
        return max(1, int(self._pace.rows / self._records))

    def _converted(
        self, parts: Iterator[tuple[int, Part, float | None]], file: int, row: int
    ) -> Iterator[Ready]:
        plan, at = self._plan, {file: row}
        for number, part, share in parts:
            name, start = self._source.name(number), at.get(number, 0)
            at[number] = part.end
            try:
                if isinstance(part, Rows):
                    _check_weight(part, plan.mapped.embedding)
                if plan.transform is not None:
                    part = part.changed(plan.transform, plan.mapped.embedding)
                if isinstance(part, Rows):
                    part = part.parsed(plan.mapped.embedding)
                if plan.spans is not None:
                    rows, part = len(part.row_numbers), divided(part, plan.mapped, plan.spans)
                    self._records = len(part.row_numbers) / max(1, rows)
                done = sort(
                    part,
                    plan.mode,
                    plan.strict,
                    mapped=plan.mapped if plan.spans is None else with_keys(plan.mapped),
                    dimension=self._dimension,
                    enough=plan.enough,
                )
            except InvalidArgumentError as error:
                raise type(error)(f"{name}: {error.message()}") from (
                    None if plan.transform is None else error
                )
            if self._dimension is None:
                self._dimension = _dimension(done.groups)
            if self._plan.transform is not None:
                self._embeds = any(_lacks_vectors(group.batch) for group in done.groups)
            yield Ready(
                file=number,
                row=part.end,
                rows=part.end - start,
                name=name,
                share=share,
                groups=done.groups,
                repeated=done.repeated,
                bad=done.bad,
            )

    def _with_vectors(self, ready: Ready) -> Ready:
        before, records = self._done, max(1, sum(len(group.batch.ids) for group in ready.groups))
        groups = []
        for group in ready.groups:
            rows = ready.rows * len(group.batch.ids) // records
            groups.append(group._replace(batch=self._completed(group.batch, rows)))
        self._done = before + ready.rows
        return replace(ready, groups=groups)

    def _completed(self, batch: Batch, rows: int) -> Batch:
        if batch.embeddings is None:
            texts = [text for text in batch.documents or () if text is not None]
            return replace(batch, embeddings=self._embed(texts, rows))
        if batch.given is None:
            return batch
        lacks, texts = lacking(self._plan.mode, batch)
        return filled(batch, lacks, self._embed(texts, rows))

    def _embed(self, texts: Sequence[str], rows: int) -> Floats:
        blocks, start, before = list[Floats](), 0, self._done
        while start < len(texts):
            if self._ended.is_set():
                raise InterruptedError("the load has ended")  # no reader receives this error
            some = texts[start : start + self._pace.texts]
            begun = time.perf_counter()
            with counted(self.cut), hidden():
                blocks.append(self._plan.embed(some))
            self._pace.took(len(some), time.perf_counter() - begun)
            start += len(some)
            self._done = before + rows * start // len(texts)
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _lacks_vectors(batch: Batch) -> bool:
    return batch.embeddings is None or batch.given is not None


def _between(before: float, share: float | None, part: float) -> float | None:
    return None if share is None else before + (share - before) * part


def _check_weight(part: Rows, embedding: str) -> None:
    """Raise InvalidArgumentError if shared values of the rows would take too much memory when copied."""
    weight = weigh_all(part.table, embedding)
    if weight > _MOST_WEIGHT:
        raise InvalidArgumentError(
            f"the values of rows {part.end - part.table.num_rows:,} to {part.end:,} come to {weight:,} "
            f"bytes, more than {_MOST_WEIGHT:,}: pass a smaller batch_size"
        )


def _dimension(groups: Sequence[Group]) -> int | None:
    found = (group.batch.embeddings for group in groups)
    return next((int(vectors.shape[1]) for vectors in found if vectors is not None), None)
