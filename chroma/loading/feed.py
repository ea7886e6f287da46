"""Parts of a source, read, converted and embedded ahead of whoever writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from ..errors import InvalidArgumentError
from ..records import Batch, filled, lacking
from ..storage.types import Floats, Mode
from ..tables.records import Mapped
from . import formats
from .ahead import Ahead
from .files import File
from .parts import Bad, Part, Rows, sort

Embed = Callable[[Sequence[str]], Floats]
_DEPTH = 2  # parts that wait between two steps
STREAM = "the stream"  # what messages call a source that is no file


@dataclass(frozen=True, slots=True)
class Ready:
    """What became of a part, which ends before row `row` of file number `file`."""

    file: int
    row: int
    rows: int
    name: str
    batches: list[Batch]
    repeated: int
    bad: list[Bad]


@dataclass(frozen=True, slots=True)
class Source:
    """Files, or else a stream of record batches."""

    files: Sequence[File]
    stream: Any = None

    def name(self, file: int) -> str:
        """What messages call a file."""
        return self.files[file].path if self.files else STREAM

    def parts(self, file: int, row: int, size: int, types: Mapping[str, Any]) -> Iterator[tuple[int, Part]]:
        """Parts from a row of a file on, with the number of their file."""
        if self.stream is not None:
            yield from ((0, part) for part in _cut(self.stream, row, size))
            return
        for number in range(file, len(self.files)):
            start = row if number == file else 0
            for part in formats.read(self.files[number], start, size, types):
                yield number, part

    def total(self) -> int | None:
        """How many rows there are, where that is known without reading them."""
        counts = [formats.count_rows(file) for file in self.files]
        known = [count for count in counts if count is not None]
        return sum(known) if known and len(known) == len(counts) else None


def _cut(reader: pa.RecordBatchReader, start: int, size: int) -> Iterator[Part]:
    row = 0
    for batch in reader:
        end = row + batch.num_rows
        for begin in range(max(row, start), end, size):
            yield Rows.of(begin, pa.Table.from_batches([batch.slice(begin - row, size)]))
        row = end


class Feed:
    """The parts of a source in order, from a row on. Two threads work ahead: one reads and converts, one
    embeds."""

    def __init__(
        self,
        source: Source,
        file: int,
        row: int,
        size: int,
        types: Mapping[str, Any],
        transform: Callable[[Any], Any] | None,
        mode: Mode,
        strict: bool,
        mapped: Mapped,
        dimension: int | None,
        embed: Embed,
    ) -> None:
        self._mode, self._strict, self._mapped = mode, strict, mapped
        self._transform, self._dimension, self._embed = transform, dimension, embed
        parts = source.parts(file, row, size, types)
        self._read = Ahead(self._converted(source, parts, file, row), _DEPTH, "chroma-load-read")
        self._embedded = Ahead(map(self._with_vectors, self._read), _DEPTH, "chroma-load-embed")

    def next(self) -> Ready | None:
        """The next part, None at the end. Raises what reading, converting or embedding it raised."""
        return next(self._embedded, None)

    def close(self) -> None:
        """End the threads."""
        self._read.stop()
        self._embedded.close()
        self._read.close()

    def _converted(
        self, source: Source, parts: Iterator[tuple[int, Part]], file: int, row: int
    ) -> Iterator[Ready]:
        at = {file: row}
        for number, part in parts:
            name, start = source.name(number), at.get(number, 0)
            at[number] = part.end
            try:
                if self._transform is not None:
                    part = part.changed(self._transform)
                done = sort(part, self._mode, self._strict, self._mapped, self._dimension)
            except InvalidArgumentError as error:
                raise type(error)(f"{name}: {error.message()}") from error
            if self._dimension is None:
                self._dimension = _dimension(done.batches)
            yield Ready(number, part.end, part.end - start, name, *done)

    def _with_vectors(self, ready: Ready) -> Ready:
        return replace(ready, batches=[self._completed(batch) for batch in ready.batches])

    def _completed(self, batch: Batch) -> Batch:
        if batch.embeddings is None:
            texts = [text for text in batch.documents or () if text is not None]
            return replace(batch, embeddings=self._embed(texts))
        if batch.given is None:
            return batch
        rows, texts = lacking(self._mode, batch)
        return filled(batch, rows, self._embed(texts))


def _dimension(batches: Sequence[Batch]) -> int | None:
    return next((int(batch.embeddings.shape[1]) for batch in batches if batch.embeddings is not None), None)
