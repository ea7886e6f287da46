"""Renders the results of `get`, `peek` and `query` as HTML tables with the included columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import text
from .html import Html, Node, caption, card, cell, joined, mono, pairs, safely, table

RECORDS = 20  # maximum records shown for a get
HITS = 10  # maximum hits shown per query
QUERIES = 10
VALUES = 50  # maximum values shown per key

Show = Callable[[Any], Node]

_SHOWN: dict[str, tuple[str, Show]] = {
    "documents": ("document", lambda entry: "" if entry is None else text.short(entry)),
    "metadatas": ("metadata", lambda entry: pairs(text.pairs(entry))),
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


def query_html(result: Mapping[str, Any]) -> str:
    """Render a result of `query` with one row per hit, which has the query's number and the rank."""
    return safely("QueryResult", lambda: _ranked(result, "QueryResult", "query", "distance"))


def search_html(result: Mapping[str, Any]) -> str:
    """Render a result of `search`, given as one of `query` with the scores in place of the distances."""
    return safely("SearchResult", lambda: _ranked(result, "SearchResult", "search", "score"))


def facets_html(result: Mapping[str, Any]) -> str:
    """Render a result of `facets` with one row per value."""
    return safely("FacetResult", lambda: _facets(result))


def records_table(columns: Mapping[str, Any], most: int) -> Html:
    """Build a table of the first records in the columns of a `get` result. Omits columns that are None."""
    fields = [field for field in _SHOWN if columns.get(field) is not None]
    header = ["id", *(_SHOWN[field][0] for field in fields)]
    rows = [
        [cell(mono(text.short(id, 60))), *(_cell(field, columns[field], row) for field in fields)]
        for row, id in enumerate(columns["ids"][:most])
    ]
    return table(header, rows)


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


def _ranked(result: Mapping[str, Any], name: str, noun: str, measure: str) -> Html:
    hits = [len(ids) for ids in result["ids"]]
    title = f"{name}: {text.count(len(hits), noun)}, {text.count(sum(hits), 'hit')}"
    if not hits:
        return card(title)
    columns = {measure: result.get("distances")} | {name: result.get(key) for name, key in _MEASURES.items()}
    numbers = {name: column for name, column in columns.items() if column is not None and None not in column}
    fields = [field for field in _SHOWN if result.get(field) is not None]
    header = [noun, "rank", "id", *numbers, *(_SHOWN[field][0] for field in fields)]
    rows: list[list[Html]] = []
    for query in range(min(len(hits), QUERIES)):
        block = _hits(result, query, [column[query] for column in numbers.values()], fields)
        number = cell(str(query), span=len(block), right=True)
        rows += [[number, *block[0]], *block[1:]]
    return card(
        title,
        table(header, rows, right=(noun, "rank", *numbers)),
        _more(len(hits) - QUERIES, noun),
    )


def _hits(result: Mapping[str, Any], query: int, numbers: list[Any], fields: list[str]) -> list[list[Html]]:
    ids = result["ids"][query]
    if not len(ids):
        return [[cell(""), cell(caption("no hit"))]]
    rows = []
    for rank, id in enumerate(ids[:HITS]):
        row = [cell(str(rank + 1), right=True), cell(mono(text.short(id, 60)))]
        row += [cell(_number(column[rank]), right=True) for column in numbers]
        rows.append([*row, *(_cell(field, result[field][query], rank) for field in fields)])
    if len(ids) > HITS:
        rows.append([cell(""), cell(_more(len(ids) - HITS, "hit"))])
    return rows


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else text.distance(value)


def _cell(field: str, column: Any, row: int) -> Html:
    return cell(_SHOWN[field][1](column[row]))


def _more(amount: int, noun: str) -> Html:
    return (
        caption(f"… and {amount:,} more {noun if amount == 1 else text.plural(noun)}")
        if amount > 0
        else Html("")
    )
