"""Renders the results of `get`, `peek` and `query` as HTML tables with the included columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import text
from .html import Html, Node, caption, card, cell, joined, mono, pairs, safely, table, unbroken

RECORDS = 20  # maximum records shown for a get
HITS = 10  # maximum hits shown per query
QUERIES = 10
VALUES = 50  # maximum values shown per key
KEYS = 6  # maximum metadata keys with columns of their own
_SHORT = 16  # characters of a value that stay on one line
QUESTION = 100  # maximum characters shown of the text of a query

Show = Callable[[Any], Node]

_SHOWN: dict[str, tuple[str, Show]] = {
    "documents": ("document", lambda entry: "" if entry is None else text.short(entry)),
    "uris": ("uri", lambda entry: "" if entry is None else mono(text.short(entry))),
    "embeddings": ("embedding", lambda entry: mono(text.vector(entry))),
    "data": ("data", text.other),
}
_MEASURES = {
    "lexical score": "lexical_scores",
    "lexical rank": "lexical_ranks",
    "dense rank": "dense_ranks",
    "rerank score": "rerank_scores",
}


def get_html(result: Mapping[str, Any]) -> str:
    """Render a result of `get` with one row per record."""
    return safely("GetResult", lambda: _get(result))


def query_html(result: Mapping[str, Any], questions: Sequence[str] = ()) -> str:
    """Render a result of `query` with one row per hit. `questions`: the text of each query."""
    return safely("QueryResult", lambda: _ranked(result, "QueryResult", "query", "distance", questions))


def search_html(result: Mapping[str, Any], questions: Sequence[str] = ()) -> str:
    """Render a result of `search`. It is given as a result of `query`, with scores instead of distances."""
    return safely("SearchResult", lambda: _ranked(result, "SearchResult", "search", "score", questions))


def facets_html(result: Mapping[str, Any]) -> str:
    """Render a result of `facets` with one row per value."""
    return safely("FacetResult", lambda: _facets(result))


class _Columns:
    """The columns of records: those of the included fields, and one per metadata key.

    Of many keys, those that most of the records have get columns. The others are pairs in a last column.
    """

    def __init__(self, result: Mapping[str, Any], metadatas: Sequence[Any], taken: Sequence[str]) -> None:
        """`metadatas`: those of the records that are shown; `taken`: the names of columns before these."""
        self._fields = [field for field in _SHOWN if result.get(field) is not None and field != "metadatas"]
        self._dicts = all(isinstance(entry, Mapping) for entry in metadatas if entry is not None)
        times = Counter(key for entry in metadatas if isinstance(entry, Mapping) for key in entry)
        chosen = {key for key, _ in times.most_common(KEYS)}
        self._keys = [key for key in times if key in chosen]
        self._more = len(times) > KEYS or not self._dicts
        self._numbers = {
            key for key in self._keys if all(_is_number(entry.get(key)) for entry in metadatas if entry)
        }
        shown = [_SHOWN[field][0] for field in self._fields]
        documents = shown[: "documents" in self._fields]
        keys = [f"metadata.{key}" if key in (*taken, *shown) else str(key) for key in self._keys]
        names = [text.short(key, 40) for key in keys]
        more = ["more" if self._keys else "metadata"] if self._more else []
        self.header = [*documents, *names, *more, *shown[len(documents) :]]
        self.right = [name for name, key in zip(names, self._keys, strict=True) if key in self._numbers]

    def cells(self, column: Callable[[str], Any], row: int) -> list[Html]:
        """Return the cells of one record. `column` returns the entries of a field."""
        fields = [
            cell(_SHOWN[field][1](column(field)[row]), least="14em" if field == "documents" else "0")
            for field in self._fields
        ]
        documents = fields[: "documents" in self._fields]
        if not self.header or len(self.header) == len(fields):
            return fields
        entry = column("metadatas")[row]
        found = entry if isinstance(entry, Mapping) else {}
        keys = [
            _value_cell(text.brief(found[key]) if key in found else "", right=key in self._numbers)
            for key in self._keys
        ]
        more: list[Html] = []
        if self._more:
            left = {key: value for key, value in found.items() if key not in self._keys}
            more = [cell(pairs(text.pairs(left if self._dicts else entry)), least="8em")]
        return [*documents, *keys, *more, *fields[len(documents) :]]


def _value_cell(content: str, right: bool) -> Html:
    return cell(unbroken(content) if len(content) <= _SHORT else content, right=right, most="16em")


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def records_table(result: Mapping[str, Any], most: int) -> Html:
    """Build a table of the first records in the columns of a `get` result. Omits columns that are None."""
    columns = _Columns(result, (result.get("metadatas") or ())[:most], ("id",))
    rows = [
        [cell(mono(text.short(id, 60))), *columns.cells(result.__getitem__, row)]
        for row, id in enumerate(result["ids"][:most])
    ]
    return table(["id", *columns.header], rows, columns.right)


def _get(result: Mapping[str, Any]) -> Html:
    total = len(result["ids"])
    title = f"GetResult: {text.count(total, 'record')}"
    if not total:
        return card(title)
    return card(title, records_table(result, RECORDS), _more(total - RECORDS, "record"))


def _facets(result: Mapping[str, Any]) -> Html:
    rows: list[list[Html]] = []
    for key, facet in result.items():
        shown = facet["values"][:VALUES]
        count = f"{text.count(facet['distinct'], 'value')} in {text.count(facet['records'], 'record')}"
        name = cell(joined([mono(text.short(key, 60)), caption(count)]), span=max(len(shown), 1))
        if not shown:
            rows.append([name, cell(""), cell("")])
        for number, each in enumerate(shown):
            row = [cell(text.value(each["value"])), cell(f"{each['count']:,}", right=True)]
            rows.append([name, *row] if not number else row)
    return card("FacetResult", table(["key", "value", "count"], rows, right=("count",)))


def _ranked(result: Mapping[str, Any], name: str, noun: str, measure: str, questions: Sequence[str]) -> Html:
    hits = [len(ids) for ids in result["ids"]]
    title = f"{name}: {text.count(len(hits), noun)}, {text.count(sum(hits), 'hit')}"
    if not hits:
        return card(title)
    columns = {measure: result.get("distances")} | {name: result.get(key) for name, key in _MEASURES.items()}
    numbers = {name: column for name, column in columns.items() if column is not None and None not in column}
    taken = (noun, "rank", "id", *numbers)
    metadatas = [entry for each in (result.get("metadatas") or ())[:QUERIES] for entry in each[:HITS]]
    columns_shown = _Columns(result, metadatas, taken)
    rows: list[list[Html]] = []
    for query in range(min(len(hits), QUERIES)):
        block = _hits(result, query, [column[query] for column in numbers.values()], columns_shown)
        question = caption(text.short(questions[query], QUESTION)) if query < len(questions) else ""
        number = cell(joined([str(query), question]), span=len(block), least="8em", most="14em")
        rows += [[number, *block[0]], *block[1:]]
    return card(
        title,
        table([*taken, *columns_shown.header], rows, right=("rank", *numbers, *columns_shown.right)),
        _more(len(hits) - QUERIES, noun),
    )


def _hits(result: Mapping[str, Any], query: int, numbers: list[Any], columns: _Columns) -> list[list[Html]]:
    ids = result["ids"][query]
    if not len(ids):
        return [[cell(""), cell(caption("no hit"))]]
    rows = []
    for rank, id in enumerate(ids[:HITS]):
        row = [cell(str(rank + 1), right=True), cell(mono(text.short(id, 60)))]
        row += [cell(_number(column[rank]), right=True) for column in numbers]
        rows.append([*row, *columns.cells(lambda field: result[field][query], rank)])
    if len(ids) > HITS:
        rows.append([cell(""), cell(_more(len(ids) - HITS, "hit"))])
    return rows


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else text.distance(value)


def _more(amount: int, noun: str) -> Html:
    return (
        caption(f"… and {amount:,} more {noun if amount == 1 else text.plural(noun)}")
        if amount > 0
        else Html("")
    )
