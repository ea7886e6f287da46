"""The result of `describe`: statistics in plain dataclasses, and their tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..internal.optional_dependencies import require
from ..rendering import text
from ..rendering.html import Html, caption, card, cell, facts, mono, safely, table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_WIDTH = 40  # maximum width of a value in characters
_APPROXIMATE = "≈: estimated, there are too many distinct values to count each"


@dataclass(frozen=True, slots=True)
class KeySummary:
    """One metadata key.

    types          number of records per type: str, int, float, bool, "list of str", …
    records        number of records with the key; `fill` is their fraction, between 0 and 1
    distinct       number of distinct values; 2 and 2.0 are distinct. `exact` is False for an estimate, which
                   is about 2 % off
    min, max       None for lists, and for keys with both texts and numbers
    most_frequent  the most frequent value, the first of several; None if no value is known to be frequent
    times          number of its occurrences; a lower bound if `exact` is False
    """

    __module__ = "chroma"

    key: str
    types: dict[str, int]
    records: int
    fill: float
    distinct: int
    exact: bool
    min: Any
    max: Any
    most_frequent: Any
    times: int


@dataclass(frozen=True, slots=True)
class TextSummary:
    """The documents, or the uris. Lengths are in characters. They are None if there is no text.

    records  number of records that have one; `fill` is their fraction, between 0 and 1
    cut      number of documents that are longer than the embedding model reads, so that their ends are not in
             their vectors. None if it is unknown: for uris, and for all models but the default one.
             `cut_exact` is False if it is estimated from some of the documents
    """

    __module__ = "chroma"

    records: int
    fill: float
    shortest: int | None
    mean: float | None
    longest: int | None
    cut: int | None = None
    cut_exact: bool = True


@dataclass(frozen=True, slots=True)
class Description:
    """The statistics of a collection. Iterates over the keys in order; `d["key"]` summarizes one key."""

    __module__ = "chroma"

    name: str
    records: int
    keys: tuple[KeySummary, ...]
    documents: TextSummary
    uris: TextSummary

    def __iter__(self) -> Iterator[KeySummary]:
        return iter(self.keys)

    def __len__(self) -> int:
        return len(self.keys)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, key: str) -> KeySummary:
        for entry in self.keys:
            if entry.key == key:
                return entry
        known = ", ".join(repr(entry.key) for entry in self.keys[:20])
        raise KeyError(f"no record has the metadata key {key!r}; the keys are: {known or 'none'}")

    def __repr__(self) -> str:
        lines = [f"{self.name}: {text.count(self.records, 'record')}"]
        lines += [f"{noun}: {_texts(entry)}" for noun, entry in self._texts()]
        if self.keys:
            rows = [_row(entry) for entry in self.keys]
            lines += ["", text.grid(_HEADER, rows, frozenset((2, 3, 7)))]
        else:
            lines.append("no record has metadata")
        if any(not entry.exact for entry in self.keys):
            lines += ["", _APPROXIMATE]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return safely("Description", self._card)

    def _card(self) -> Html:
        right = {"filled", "distinct", "times"}
        parts = [facts((noun, _texts(entry)) for noun, entry in self._texts())]
        if self.keys:
            rows = [
                [
                    cell(content, right=name in right)
                    for name, content in zip(_HEADER, _row(entry), strict=True)
                ]
                for entry in self.keys
            ]
            parts.append(table(_HEADER, rows, right))
        else:
            parts.append(caption("no record has metadata"))
        if any(not entry.exact for entry in self.keys):
            parts.append(caption(_APPROXIMATE))
        title = Html(f"{mono(text.short(self.name, 80))}: {text.count(self.records, 'record')}")
        return card(title, *parts)

    def _texts(self) -> list[tuple[str, TextSummary]]:
        return [("documents", self.documents), ("uris", self.uris)]

    def to_pandas(self) -> "pd.DataFrame":
        """Convert to a DataFrame with one row per key and the columns of `KeySummary`; `types` is text.

        Raises InvalidArgumentError if pandas is not installed.
        """
        pandas = require("pandas", "pandas", "describe().to_pandas()")
        columns = {name: [getattr(entry, name) for entry in self.keys] for name in _FIELDS}
        columns["types"] = [_types(entry) for entry in self.keys]
        for name in ("min", "max", "most_frequent"):  # keeps values of several types as they are
            columns[name] = pandas.Series(columns[name], dtype=object)
        return pandas.DataFrame(columns)

    def to_arrow(self) -> "pa.Table":
        """Convert to an Arrow table with one row per key; `types`, `min`, `max`, `most_frequent` are text."""
        import pyarrow as pa

        def texts(values: list[Any]) -> Any:
            return pa.array([None if value is None else str(value) for value in values], pa.string())

        columns = {name: [getattr(entry, name) for entry in self.keys] for name in _FIELDS}
        kinds = {"records": pa.int64(), "fill": pa.float64(), "distinct": pa.int64(), "exact": pa.bool_()}
        kinds["times"] = pa.int64()
        columns["types"] = [_types(entry) for entry in self.keys]
        return pa.table(
            {
                name: pa.array(values, kinds[name]) if name in kinds else texts(values)
                for name, values in columns.items()
            }
        )


_FIELDS = tuple(KeySummary.__dataclass_fields__)
_HEADER = ("key", "types", "filled", "distinct", "min", "max", "most frequent", "times")


def _row(entry: KeySummary) -> list[str]:
    sign, least = ("", "") if entry.exact else ("≈ ", "≥ ")
    repeated = entry.times > 1 or entry.distinct == 1  # else the first of many unique values has no meaning
    return [
        text.short(entry.key, _WIDTH),
        _types(entry),
        _percent(entry.fill),
        f"{sign}{entry.distinct:,}",
        _value(entry.min),
        _value(entry.max),
        _value(entry.most_frequent) if repeated else "",
        f"{least}{entry.times:,}" if repeated else "",
    ]


def _types(entry: KeySummary) -> str:
    if len(entry.types) == 1:
        return next(iter(entry.types))
    return ", ".join(f"{name} {amount:,}" for name, amount in sorted(entry.types.items()))


def _value(value: Any) -> str:
    return "" if value is None else text.value(value, _WIDTH)


def _percent(share: float) -> str:
    """Format a fraction in percent. 0 % means no record, and 100 % means all records."""
    if 0 < share < 0.001:
        return "< 0.1 %"
    if 0.999 < share < 1:
        return "> 99.9 %"
    return f"{share:.1%}".replace("%", " %").replace(".0 ", " ")


def _texts(entry: TextSummary) -> str:
    if not entry.records or entry.mean is None:
        return "none"
    lengths = f"{entry.shortest:,} to {entry.longest:,} characters, {entry.mean:,.0f} on average"
    cut = f", {'' if entry.cut_exact else '≈ '}{entry.cut:,} longer than the model reads" if entry.cut else ""
    return f"{_percent(entry.fill)}, {lengths}{cut}"
