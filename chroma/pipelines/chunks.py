"""Converts rows to records. Rows are converted together; bad rows are found and separated."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import orjson
import pyarrow as pa

from ..errors import InvalidArgumentError, InvalidDimensionException, InvalidTypeError
from ..storage.interface.nearest_names import nearest
from ..storage.interface.short_repr import shown
from ..storage.interface.values import Mode
from ..storage.interface.whole_numbers import digits
from ..tables import is_table, objects, readers, to_records, type_conversion
from ..tables.column_names import (
    check_near_misses,
    document_column,
    is_unnamed_index,
    key_of,
    near_miss,
    other_spelling,
)
from ..tables.to_records import Mapped
from ..validation.metadata import check_metadatas
from ..validation.sequences import check_ids, check_texts
from ..validation.vectors import as_matrix
from ..validation.write_batch import Batch, scatter


class Bad(NamedTuple):
    """A row that cannot be stored."""

    row: int
    reason: str
    content: Any


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table."""

    table: pa.Table
    row_numbers: Sequence[int]
    end: int
    bad: tuple[Bad, ...] = ()

    @classmethod
    def of(cls, start: int, table: pa.Table) -> Rows:
        """Return all rows of a table whose first row has the number `start`."""
        return cls(table, range(start, start + table.num_rows), start + table.num_rows)

    def piece(self, begin: int, end: int) -> Rows:
        """Return the rows from position `begin` to `end`, and the bad rows between them."""
        upto, bad = _piece(self, begin, end)
        return Rows(self.table.slice(begin, end - begin), self.row_numbers[begin:end], upto, bad)

    def has_vectors(self, name: str) -> bool:
        """Whether every row has a vector in the column `name`."""
        index = self.table.schema.get_field_index(name)
        return index >= 0 and not self.table.column(index).null_count

    def has_any_vector(self, name: str) -> bool:
        """Whether some row has a vector in the column `name`."""
        index = self.table.schema.get_field_index(name)
        return index >= 0 and bool(self.table.column(index).null_count < self.table.num_rows)

    def changed(self, transform: Callable[[Any], Any], embedding: str) -> Part:
        """Apply a function to the table."""
        return _made(transform(self.table), self, embedding)

    def ids(self, mapped: Mapped) -> list[Any]:
        """Return the values of the id column. Raises for columns that cannot be valid."""
        to_records.check_columns(self.table, mapped)
        has_vectors = mapped.embedding in self.table.column_names
        if not has_vectors and to_records.document_name(self.table.schema, mapped) is None:
            raise InvalidArgumentError(
                "there is neither a column 'embedding' nor a column 'document': say which one it is with "
                "columns={'document': ...}"
            )
        return to_records.ids_of(self.table, mapped)

    def batch(self, mapped: Mapped) -> Batch:
        """All rows, checked."""
        name = mapped.parts.get("id", "id")
        if name in self.table.column_names and self.table.column(name).null_count:
            raise InvalidArgumentError(f"the column {name!r} is null: every record has an id")
        return to_records.from_table(self.table, mapped)

    def take(self, rows: Sequence[int]) -> Rows:
        """Return the given rows."""
        picked = pa.array(np.asarray(rows, np.int64))
        return Rows(
            type_conversion.without_views(self.table).take(picked),
            [self.row_numbers[row] for row in rows],
            self.end,
            self.bad,
        )

    def without(self, bad: Mapping[int, Bad]) -> Rows:
        """Return the other rows, with `bad` as their bad rows by number."""
        good = [row for row, number in enumerate(self.row_numbers) if number not in bad]
        here = [bad[number] for number in self.row_numbers if number in bad]
        return replace(self.take(good), bad=(*self.bad, *here)) if here else self

    def without_own(self, partition: Mapping[str, pa.Scalar]) -> dict[str, pa.Scalar]:
        """Return the columns of folders that the rows do not have themselves."""
        return {name: value for name, value in partition.items() if name not in self.table.column_names}

    def beside(self, partition: Mapping[str, pa.Scalar]) -> Rows:
        """Return the rows with the columns that the folders of their file hold."""
        table = self.table
        for name, value in partition.items():
            table = table.append_column(name, pa.repeat(value, table.num_rows))
        return replace(self, table=table)

    def parsed(self, name: str) -> Rows:
        """Parse the vectors in column `name` if they are texts such as "[0.1, 0.2]"."""
        index = self.table.schema.get_field_index(name)
        if index < 0 or not type_conversion.is_text(self.table.schema.field(index).type):
            return self
        if (vectors := _all_vectors(self.table.column(index))) is not None:
            return replace(self, table=self.table.set_column(index, name, vectors))
        parsed: list[list[float] | None] = []
        kept: list[bool] = []
        bad: list[Bad] = []
        for row, text in enumerate(self.table.column(index).to_pylist()):
            vector = None
            try:
                vector = None if text is None else type_conversion.parsed_vector(text)
            except InvalidArgumentError as error:
                bad.append(Bad(self.row_numbers[row], error.message(), self.content(row)))
            parsed.append(vector)
            kept.append(vector is not None or text is None)
        column = pa.array(parsed, pa.large_list(pa.float64()))
        whole = replace(self, table=self.table.set_column(index, name, column), bad=(*self.bad, *bad))
        if not bad:
            return whole
        return whole.take([row for row, right in enumerate(kept) if right])

    def content(self, row: int) -> Any:
        """Return a row as values for JSON."""
        return self.table.slice(row, 1).to_pylist()[0]


@dataclass(frozen=True, slots=True)
class Objects:
    """JSON objects as rows."""

    values: list[dict[str, Any]]
    row_numbers: Sequence[int]
    end: int
    bad: tuple[Bad, ...] = ()

    def piece(self, begin: int, end: int) -> Objects:
        """Return the rows from position `begin` to `end`, and the bad rows between them."""
        upto, bad = _piece(self, begin, end)
        return Objects(self.values[begin:end], self.row_numbers[begin:end], upto, bad)

    def has_vectors(self, name: str) -> bool:
        """Whether every row has a vector in the field `name`."""
        return all(value.get(name) is not None for value in self.values)

    def has_any_vector(self, name: str) -> bool:
        """Whether some row has a vector in the field `name`."""
        return any(value.get(name) is not None for value in self.values)

    def changed(self, transform: Callable[[Any], Any], embedding: str) -> Part:
        """Apply a function to the list of dicts. The function returns another list or a table."""
        return _made(transform(self.values), self, embedding)

    def ids(self, mapped: Mapped) -> list[Any]:
        """Return the id of each row, None for a row without an id. Raises for columns that no row has."""
        self._check_names(mapped)
        name = mapped.parts.get("id", "id")
        return [digits(value.get(name)) for value in self.values]

    def batch(self, mapped: Mapped) -> Batch:
        """All rows, checked."""
        parts = {part: mapped.parts.get(part, part) for part in to_records.PARTS}
        parts["document"] = self.document_name(mapped) or parts["document"]
        if mapped.metadata is None:
            self._check_near_misses(mapped.parts)
        for value in self.values:
            if type(id := value.get(parts["id"])) not in (str, int):
                found = "null" if id is None else shown(id)
                raise InvalidArgumentError(
                    f"the field {parts['id']!r} is {found}: every record has an id, a str"
                )
        columns = {part: [value.get(name) for value in self.values] for part, name in parts.items()}
        columns["embedding"] = [
            type_conversion.parsed_vector(vector) if isinstance(vector, str) else vector
            for vector in columns["embedding"]
        ]
        given = np.asarray([vector is not None for vector in columns["embedding"]], np.bool_)
        matrix = None
        if given.any():
            vectors = as_matrix(
                [vector for vector in columns["embedding"] if vector is not None], "embedding"
            )
            matrix = scatter(vectors, given)
        metadatas = [_metadata(value, set(parts.values()), mapped.metadata) for value in self.values]
        return Batch(
            ids=check_ids(columns["id"]),
            embeddings=matrix,
            metadatas=check_metadatas(metadatas) if any(metadatas) else None,
            documents=_texts(columns["document"], "document"),
            images=None,
            uris=_texts(columns["uri"], "uri"),
            given=None if matrix is None or given.all() else given,
        )

    def document_name(self, mapped: Mapped) -> str | None:
        """Return the name of the field of documents. None if there is none."""
        name = mapped.parts.get("document", "document")
        if "document" in mapped.parts or any(name in value for value in self.values):
            return name
        taken = {*mapped.parts.values(), *(mapped.metadata or ())}
        found = {key: None for value in self.values for key, text in value.items() if isinstance(text, str)}
        return document_column(key for key in found if key not in taken)

    def _check_names(self, mapped: Mapped) -> None:
        """Raise for a name that the first rows do not have, if they have one that is spelled alike.

        A field may be in few rows, so the name alone tells nothing.
        """
        if not self.row_numbers or self.row_numbers[0] > 0:
            return
        named = [*mapped.parts.values(), *(mapped.metadata or ())]
        found = {key for value in self.values for key in value} if named else set()
        for name in named:
            if name not in found and (hint := nearest(name, sorted(found.difference(named)))):
                raise InvalidArgumentError(
                    f"none of the first {len(self.values):,} lines has the field {name!r}{hint}"
                )

    def _check_near_misses(self, parts: Mapping[str, str]) -> None:
        if any(near_miss(key) or other_spelling(key) for key in set().union(*self.values)):
            for value in self.values:
                check_near_misses(value, parts)

    def take(self, rows: Sequence[int]) -> Objects:
        """Return the given rows."""
        row_numbers = [self.row_numbers[row] for row in rows]
        return Objects([self.values[row] for row in rows], row_numbers, self.end, self.bad)

    def without_own(self, partition: Mapping[str, pa.Scalar]) -> dict[str, pa.Scalar]:
        """Return the columns of folders that some rows may lack."""
        return dict(partition)

    def beside(self, partition: Mapping[str, pa.Scalar]) -> Objects:
        """Return the rows with the metadata that the folders of their file hold."""
        found = {name: value.as_py() for name, value in partition.items() if value.is_valid}
        return replace(self, values=[with_fields(value, found) for value in self.values])

    def content(self, row: int) -> Any:
        """Return a row."""
        return self.values[row]


def _piece(part: Part, begin: int, end: int) -> tuple[int, tuple[Bad, ...]]:
    """Return the row before which a piece of a part ends, and its bad rows."""
    numbers = part.row_numbers
    first = numbers[begin] if begin else -1
    upto = numbers[end] if end < len(numbers) else part.end
    return upto, tuple(bad for bad in part.bad if first <= bad.row < upto)


def with_fields(value: dict[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with fields that it lacks, in its metadata if they are one object."""
    whole = value.get("metadata")
    if isinstance(whole, dict):
        return {**value, "metadata": {**found, **whole}}
    return {**found, **value}


_OF_NUMBERS = b"0123456789eE+-.,[] "
_BLOCK_NUMBERS = 16_384  # numbers parsed at a time: more of them leave the processor's cache


def _all_vectors(texts: pa.ChunkedArray) -> pa.Array | None:
    """Parse vectors of one length, three times as fast as any others. None for any others."""
    lines: list[str] = texts.to_pylist() if not texts.null_count else []
    shapes = {(line[:1], line[-1:], line.count(",")) for line in lines}
    if len(shapes) != 1:
        return None
    ((first, last, commas),) = shapes
    if (first, last) != ("[", "]"):
        return None
    width = commas + 1
    matrix = np.empty(len(lines) * width)
    step = max(1, _BLOCK_NUMBERS // width)
    for start in range(0, len(lines), step):
        block = ",".join(lines[start : start + step]).encode()
        count = min(step, len(lines) - start)
        if block.translate(None, _OF_NUMBERS) or block.count(b"[") != count or block.count(b"]") != count:
            return None
        try:
            numbers = orjson.loads(b"[" + block.translate(None, b"[]") + b"]")
        except orjson.JSONDecodeError:
            return None
        matrix[start * width : (start + count) * width] = np.fromiter(numbers, np.float64, count * width)
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix), width)


def _made(made: Any, part: Part, embedding: str) -> Part:
    """Convert the result of a transformation to a part. A transformation may drop or add rows."""
    if made is None:
        return Objects([], [], part.end, part.bad)
    if isinstance(made, list):
        odd = [value for value in made if not isinstance(value, dict)]
        if odd:
            raise InvalidTypeError(f"transform returned a list with {shown(odd[0])} in it: expected dicts")
        return Objects(made, _row_numbers(part, len(made)), part.end, part.bad)
    if not is_table(made):
        raise InvalidTypeError(
            f"transform returned {shown(made)}: expected a dataframe, an Arrow table, a list of dicts, "
            "or None for no rows"
        )
    table = readers.table(made, embedding)
    return Rows(table, _row_numbers(part, table.num_rows), part.end, part.bad)


def _row_numbers(part: Part, rows: int) -> Sequence[int]:
    """Return the row numbers after a transformation.

    An unchanged number of rows means the same rows. Otherwise all rows get the number of the first row.
    """
    if rows == len(part.row_numbers):
        return part.row_numbers
    return [part.row_numbers[0] if part.row_numbers else part.end] * rows


def _texts(column: list[Any], name: str) -> list[str | None] | None:
    if all(text is None for text in column):
        return None
    return check_texts(column, name, f"{name}s", allow_none=True)


def _metadata(value: dict[str, Any], used: set[str], keys: Mapping[str, str] | None) -> dict[str, Any] | None:
    """Return the fields that are not another part of the record, or the object under "metadata"."""
    if keys is not None:
        found = {key: objects.plain(value[name]) for name, key in keys.items() if value.get(name) is not None}
        return found or None
    named = [
        (key_of(key), objects.plain(entry))
        for key, entry in value.items()
        if key not in used and entry is not None and not is_unnamed_index(key)
    ]
    others = dict(named)
    if len(others) < len(named):
        raise InvalidArgumentError(f"several keys of the line are one metadata key: {shown(sorted(value))}")
    if value.get("metadata") is None or "metadata" in used:
        return others or None
    whole = others.pop("metadata")
    if isinstance(whole, str):
        whole = to_records.parsed_metadata(whole, "metadata") or {}
    if not isinstance(whole, dict):
        raise InvalidTypeError(
            f"metadata is {shown(whole)}: expected a JSON object, or the text of one; call it "
            "'metadata.metadata' if it is a key of that name"
        )
    if others:
        raise to_records.metadata_twice(f"the keys {shown(sorted(others))}", "an object")
    return {key: objects.plain(entry) for key, entry in whole.items() if entry is not None} or None


# Rows of a source. `row_numbers` has the number of each row; the next part begins with row `end`.
Part: TypeAlias = Rows | Objects
_REPEATED = "the id is the same as that of an earlier row"


class Group(NamedTuple):
    """Records with distinct ids, and their source rows in the same order."""

    batch: Batch
    rows: Part

    def bad(self, ids: set[str], reason: str) -> list[Bad]:
        """Return the rows whose id is in `ids`, as bad rows."""
        return [
            Bad(self.rows.row_numbers[row], reason, self.rows.content(row))
            for row, id in enumerate(self.batch.ids)
            if id in ids
        ]


class Sorted(NamedTuple):
    """The result of sorting a part.

    groups    groups of records with distinct ids, in the order of the file
    repeated  number of rows skipped because an earlier row of the part has the same id
    bad       the bad rows
    """

    groups: list[Group]
    repeated: int
    bad: list[Bad]


def sort(
    part: Part, mode: Mode, strict: bool, *, mapped: Mapped, dimension: int | None, enough: int
) -> Sorted:
    """Divide a part into groups with distinct ids.

    If several rows have the same id, an upsert writes all of them in order. An add keeps the first row, and
    a strict add treats the others as bad. The search for bad rows stops once `enough` are found. Raises an
    error if a column as a whole is invalid.
    """
    bad = [*part.bad]
    while part.row_numbers:
        groups, repeated = _distinct(part.ids(mapped), mode, strict)
        done, wrong = [], set[int]()
        for rows in groups:
            group = part if len(rows) == len(part.row_numbers) else part.take(rows)
            batch, odd = _checked(group, mapped, dimension, enough)
            wrong.update(rows[row] for row, _ in odd)
            bad += [Bad(group.row_numbers[row], reason, group.content(row)) for row, reason in odd]
            if batch is not None:
                done.append(batch)
        if wrong and repeated and len(bad) < enough:  # a skipped row may now be the first valid one
            part = part.take([row for row in range(len(part.row_numbers)) if row not in wrong])
            continue
        if strict:
            bad += [Bad(part.row_numbers[row], _REPEATED, part.content(row)) for row in repeated]
        return Sorted(done, 0 if strict else len(repeated), sorted(bad, key=lambda entry: entry.row))
    return Sorted([], 0, bad)


def _distinct(ids: list[Any], mode: Mode, strict: bool) -> tuple[list[list[int]], list[int]]:
    """Return groups of rows with distinct ids, in order, and the skipped rows.

    Any number of rows with id None may be in one group.
    """
    if len(set(ids)) == len(ids):
        return [list(range(len(ids)))], []
    groups: list[list[int]] = [[]]
    seen: set[Any] = set()
    left: list[int] = []
    for row, id in enumerate(ids):
        if id is not None and id in seen:
            if mode == "add":
                left.append(row)
                continue
            groups.append([])
            seen = set()
        seen.add(id)
        groups[-1].append(row)
    return groups, left


def _checked(
    part: Part, mapped: Mapped, dimension: int | None, enough: int
) -> tuple[Group | None, list[tuple[int, str]]]:
    """Return the valid rows, and the bad rows with their reasons."""
    try:
        return Group(_fitting(part, mapped, dimension), part), []
    except InvalidArgumentError:
        if dimension is None:
            dimension = _first_dimension(part, mapped)
    bad = list(islice(_search(part, range(len(part.row_numbers)), mapped, dimension), enough))
    wrong = {row for row, _ in bad}
    right = [row for row in range(len(part.row_numbers)) if row not in wrong]
    if not right or len(bad) == enough:
        return None, bad
    rest = part.take(right)
    return Group(_fitting(rest, mapped, dimension), rest), bad


def _fitting(part: Part, mapped: Mapped, dimension: int | None) -> Batch:
    batch = part.batch(mapped)
    if batch.embeddings is not None and dimension is not None and batch.embeddings.shape[1] != dimension:
        raise InvalidDimensionException(
            f"the embedding has {batch.embeddings.shape[1]} numbers, and the others {dimension}"
        )
    if batch.embeddings is None or batch.given is not None:
        rows = np.arange(len(batch.ids)) if batch.given is None else np.flatnonzero(~batch.given)
        if batch.documents is None or any(batch.documents[row] is None for row in rows.tolist()):
            raise InvalidArgumentError("there is neither an embedding nor a document")
    return batch


def _first_dimension(part: Part, mapped: Mapped) -> int | None:
    for row in range(len(part.row_numbers)):
        try:
            embeddings = part.take([row]).batch(mapped).embeddings
        except InvalidArgumentError:
            continue
        if embeddings is not None:
            return int(embeddings.shape[1])
    return None


def _reason(error: InvalidArgumentError) -> str:
    """Return the message about the only row of a part. The caller names the row in the source."""
    return _FIRST.sub("", error.message(), count=1)


_FIRST = re.compile(r" at (?:row|index) 0(?: of \w+)?\b|(?<=\bembedding)\[0\](?=\[)")


def _search(
    part: Part, rows: Sequence[int], mapped: Mapped, dimension: int | None
) -> Iterator[tuple[int, str]]:
    """Find the bad rows among `rows`, and their reasons, by bisection."""
    try:
        _fitting(part.take(rows), mapped, dimension)
        return
    except InvalidArgumentError as error:
        if len(rows) == 1:
            yield rows[0], _reason(error)
            return
    half = len(rows) // 2
    for some in (rows[:half], rows[half:]):
        yield from _search(part, some, mapped, dimension)
