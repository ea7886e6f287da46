"""Summarizes a collection's metadata, documents and uris from consecutive record batches.

`Summary` holds no records. Per key and type, it keeps a few numbers and a `Counts`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..requests.projection import Projection, ScanRequest
from ..storage.interface.requests import Selection
from ..tables.column_names import OWN, key_of
from .description import Description, KeySummary, TextSummary
from .distinct_counts import Counts

if TYPE_CHECKING:
    import pyarrow as pa

_PROJECTION = Projection(fields=frozenset({"documents", "uris", "metadatas"}))


def request(where: Any) -> ScanRequest:
    """Build the request that reads the matching records."""
    return ScanRequest(selection=Selection(where=where), projection=_PROJECTION)


@dataclass
class _Texts:
    """The statistics of the documents, or of the uris."""

    filled: int = 0
    shortest: int | None = None
    longest: int | None = None
    characters: int = 0
    cut: CutTexts | None = None

    def add(self, column: Any) -> None:
        import pyarrow.compute as pc

        lengths = pc.utf8_length(column)
        found = len(column) - column.null_count
        if not found:
            return
        limits = pc.min_max(lengths)
        low, high = limits["min"].as_py(), limits["max"].as_py()
        self.filled += found
        self.shortest = low if self.shortest is None else min(self.shortest, low)
        self.longest = high if self.longest is None else max(self.longest, high)
        self.characters += pc.sum(lengths).as_py()
        if self.cut is not None:
            self.cut.add(column)


class CutTexts:
    """Counts the documents that are longer than a model reads.

    For most texts, the number of bytes and of words decides. A token has at least one byte. A word has at
    least one token. Others are divided into tokens, at some thousands a second; beyond the first of them, a
    sample of each batch.
    """

    def __init__(self, function: Any) -> None:
        self._function = function
        self._most = function.max_tokens() - 2  # without the two that mark the ends
        self._left = _DIVIDED
        self.count = 0
        self.exact = True

    def add(self, column: Any) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = column.filter(pc.greater(pc.binary_length(column), self._most))
        long = pc.greater(pc.count_substring_regex(texts, pattern=_WORD), self._most)
        self.count += pc.sum(long).as_py() or 0
        open = texts.filter(pc.invert(long))
        size = min(len(open), max(_SAMPLE, self._left))
        self._left = max(0, self._left - size)
        if not size:
            return
        sample = open.take(pa.array([row * len(open) // size for row in range(size)]))
        self.count += round(sum(self._function.are_cut(sample.to_pylist())) * len(open) / size)
        self.exact = self.exact and size == len(open)


_WORD = r"[^\s]*[0-9A-Za-z][^\s]*"
_DIVIDED, _SAMPLE = 1000, 50  # about a second


class _Values:
    """The values of one type for one key."""

    def __init__(self) -> None:
        self.filled = 0
        self.low: Any = None
        self.high: Any = None
        self.counts = Counts()

    def add(self, column: Any) -> None:
        """Add the values of `column`, which has no nulls."""
        import pyarrow as pa
        import pyarrow.compute as pc

        self.filled += len(column)
        if pa.types.is_struct(column.type):  # sparse vectors, which are hardly ever equal
            return
        if pa.types.is_nested(column.type):
            lists = (tuple(entry) for entry in column.to_pylist())
            self.counts.add((entry, 1) for entry in lists)
            return
        limits = pc.min_max(column)
        low, high = limits["min"].as_py(), limits["max"].as_py()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)
        counted = pc.value_counts(column)
        self.counts.add(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist()))


class Summary:
    """Summarizes record batches with the columns id, document and uri, and one column per metadata key and
    type (null: the record has no such value). Columns may differ between batches."""

    def __init__(self, name: str, function: Any = None) -> None:
        """`function`: the embedding function, if it tells which texts are longer than it reads."""
        self._name = name
        self._records = 0
        self._documents = _Texts(cut=None if function is None else CutTexts(function))
        self._uris = _Texts()
        self._keys: dict[str, dict[str, _Values]] = {}  # by key, then by type

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the next records."""
        self._records += batch.num_rows
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if name == "document":
                self._documents.add(_plain(column))
            elif name == "uri":
                self._uris.add(_plain(column))
            elif name not in OWN:
                values = _plain(column).drop_null()
                if len(values):
                    types = self._keys.setdefault(key_of(name), {})
                    types.setdefault(type_name(values.type), _Values()).add(values)

    def finish(self) -> Description:
        """Return the statistics of all records so far."""
        keys = [self._key(key, types) for key, types in sorted(self._keys.items())]
        return Description(
            self._name, self._records, tuple(keys), self._text(self._documents), self._text(self._uris)
        )

    def _text(self, texts: _Texts) -> TextSummary:
        mean = texts.characters / texts.filled if texts.filled else None
        share, cut = self._share(texts.filled), texts.cut
        summary = TextSummary(texts.filled, share, texts.shortest, mean, texts.longest)
        return summary if cut is None else replace(summary, cut=cut.count, cut_exact=cut.exact)

    def _key(self, key: str, types: dict[str, _Values]) -> KeySummary:
        parts = list(types.values())
        filled = sum(part.filled for part in parts)
        comparable = len(types) == 1 or types.keys() <= {"int", "float"}
        lows = [part.low for part in parts if comparable and part.low is not None]
        highs = [part.high for part in parts if comparable and part.high is not None]
        candidates = [found for part in parts if (found := part.counts.most_frequent) is not None]
        value, times = max(candidates, key=lambda found: found[1]) if candidates else (None, 0)
        return KeySummary(
            key=key,
            types={name: part.filled for name, part in types.items()},
            records=filled,
            fill=self._share(filled),
            distinct=sum(part.counts.distinct for part in parts),
            exact=all(part.counts.exact for part in parts),
            min=min(lows, default=None),
            max=max(highs, default=None),
            most_frequent=list(value) if isinstance(value, tuple) else value,
            times=times,
        )

    def _share(self, filled: int) -> float:
        return filled / self._records if self._records else 0.0


def type_name(kind: Any) -> str:
    """Return the Python name for an Arrow type: str, int, float, bool, list of these, sparse_vector."""
    import pyarrow as pa

    from ..storage.interface import sparse_vector_arrow

    if sparse_vector_arrow.is_sparse_vector(kind):
        return "sparse_vector"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"list of {type_name(kind.value_type)}"
    for name, matches in (
        ("str", pa.types.is_string),
        ("str", pa.types.is_large_string),
        ("bool", pa.types.is_boolean),
        ("int", pa.types.is_integer),
        ("float", pa.types.is_floating),
    ):
        if matches(kind):
            return name
    return str(kind)


def _plain(column: Any) -> Any:
    """Convert dictionary and view columns to plain columns, which all functions of Arrow support."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    is_view = getattr(pa.types, "is_string_view", None)  # missing in the lowest supported version
    return column.cast(pa.large_string()) if is_view is not None and is_view(column.type) else column
