"""`evaluate`: runs queries with known answers, and measures the results."""

from __future__ import annotations

import inspect
import math
import numbers
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import InvalidArgumentError, InvalidTypeError
from ..internal.progress import bar
from ..search.search import Search
from ..storage.interface.short_repr import shown
from ..storage.interface.whole_numbers import digits
from . import measures

if TYPE_CHECKING:
    import pandas as pd

    from .._sync.collection import Collection

Way: TypeAlias = "Callable[[Collection, Any, int], Sequence[str]]"
_LEAST = 1e-200  # sums and quotients of larger gains are numbers, too
MEASURES = ("ndcg", "mrr", "recall", "precision", "map")


@dataclass(frozen=True)
class Evaluation:
    """The measurements of `evaluate`.

    k          how many records of each ranking count
    means      {way: {measure: mean over the queries}}
    per_query  {way: {query id: {measure: value}}}
    rankings   {way: {query id: the ids found, best first}}
    """

    __module__ = "chroma"

    k: int
    means: dict[str, dict[str, float]]
    per_query: dict[str, dict[str, dict[str, float]]]
    rankings: dict[str, dict[str, list[str]]]

    def to_pandas(self, per_query: bool = False) -> pd.DataFrame:
        """Convert to a pandas DataFrame with one row per way and one column per measure.

        `per_query`: one row per way and query.
        """
        from ..tables import dataframes

        dataframes.check_pandas()
        import pandas as pd

        if not per_query:
            return pd.DataFrame.from_dict(self.means, orient="index", columns=list(MEASURES))
        rows = [
            {"way": way, "query": query, **values}
            for way, queries in self.per_query.items()
            for query, values in queries.items()
        ]
        return pd.DataFrame(rows, columns=["way", "query", *MEASURES])

    def __str__(self) -> str:
        width = max(map(len, ("way", *self.means)))
        header = f"{'way':{width}}  " + "  ".join(f"{name:>9}" for name in MEASURES)
        lines = [
            f"{way:{width}}  " + "  ".join(f"{values[name]:9.4f}" for name in MEASURES)
            for way, values in self.means.items()
        ]
        return "\n".join([f"at {self.k}", header, *lines])

    def _repr_html_(self) -> str:
        from ..rendering.html import card, cell, safely, table

        def build() -> Any:
            rows = [
                [cell(way), *(cell(f"{values[name]:.4f}", right=True) for name in MEASURES)]
                for way, values in self.means.items()
            ]
            return card(f"Evaluation at {self.k}", table(["way", *MEASURES], rows, right=MEASURES))

        return safely("Evaluation", build)


def evaluate(
    collection: Collection,
    queries: Mapping[str, Any],
    relevant: Mapping[str, Any],
    *,
    ways: Mapping[str, Way] | None = None,
    k: int = 10,
    gain: str = "exponential",
    progress: bool | None = None,
) -> Evaluation:
    """Run queries with known right answers, and measure the results.

        found = chroma.evaluate(notes, {"q1": "solar power"}, {"q1": {"a": 2, "b": 1}})
        print(found)

    queries   {query id: a text, a vector, or a Search}
    relevant  {query id: {record id: grade}}, or a list or set of record ids, whose grade is 1. A whole
              number as an id stands for its digits. Grades of 0 and less, and records that are not named,
              are not relevant. Queries without a relevant record are left out. Records that are not stored
              give a warning, unless `ways` are given
    ways      {name: a function of (collection, query, k) that returns ids, best first}; by default one way,
              "query", which searches for texts and vectors by `query` and runs a Search by `search`
    k         how many records of each ranking count
    gain      for nDCG: "exponential", 2^grade - 1, or "linear", the grade
    progress  show a progress bar; None: on terminals and in notebooks, after a second
    Raises InvalidArgumentError (a ValueError), or InvalidTypeError (also a TypeError).
    """
    if isinstance(k, bool) or not isinstance(k, int):
        raise InvalidTypeError(f"Expected k to be an int, got {shown(k)}")
    if k < 1:
        raise InvalidArgumentError(f"Expected k to be at least 1, got {k}")
    if gain not in measures.GAINS:
        known = ", ".join(measures.GAINS)
        raise InvalidArgumentError(f"Expected gain to be one of {known}, got {shown(gain)}")
    if inspect.iscoroutinefunction(getattr(collection, "query", None)):
        raise InvalidTypeError("evaluate takes a Collection of a synchronous client, got an AsyncCollection")
    grades = _grades(queries, relevant, gain)
    if ways is None:  # ways of one's own may return other ids, such as those of whole documents
        _warn_missing(collection, grades)
    if ways is not None and not (isinstance(ways, Mapping) and all(map(callable, ways.values()))):
        raise InvalidTypeError(f"Expected ways to be a dict of functions, got {shown(ways)}")
    if ways is not None and not ways:
        raise InvalidArgumentError("ways is empty: name at least one way of searching, or leave it out")
    chosen = {"query": _by_query} if ways is None else dict(ways)
    tried: dict[str, dict[str, list[str]]] = {way: {} for way in chosen}
    shows = bar(
        progress, "evaluate", total=len(chosen) * len(grades), unit=" queries", option="progress=True"
    )
    try:
        for way, function in chosen.items():
            for query in grades:
                tried[way][query] = _ids(way, query, function(collection, queries[query], k))
                if shows is not None:
                    shows.update()
    finally:
        if shows is not None:
            shows.close()
    each = partial(_measured, k=k, gain=measures.GAINS[gain])
    per_query = {
        way: {query: each(found, grades[query]) for query, found in rankings.items()}
        for way, rankings in tried.items()
    }
    means = {
        way: {name: math.fsum(values[name] for values in found.values()) / len(found) for name in MEASURES}
        for way, found in per_query.items()
    }
    return Evaluation(k, means, per_query, tried)


def _grades(queries: Any, relevant: Any, gain: str) -> dict[str, dict[str, float]]:
    """Return the judgements of the queries that have a relevant record."""
    for name, value in (("queries", queries), ("relevant", relevant)):
        if not isinstance(value, Mapping):
            example = "{'q1': 'solar power'}" if name == "queries" else "{'q1': ['a', 'b']}"
            raise InvalidTypeError(
                f"Expected {name} to be a dict by query id, such as {example}, got {shown(value)}"
            )
    unknown = [query for query in relevant if query not in queries]
    if unknown:
        raise InvalidArgumentError(
            f"relevant names queries that are not among queries: {shown(unknown)}; leave them out, or add "
            "their texts to queries"
        )
    found = {}
    for query in queries:
        given = relevant.get(query, {})
        given = given.tolist() if hasattr(given, "tolist") else given  # a numpy array, a Series
        if isinstance(given, str) or not isinstance(given, (Mapping, list, tuple, set, frozenset)):
            raise InvalidTypeError(
                f"Expected relevant[{query!r}] to be a dict of grades or a list of ids, got {shown(given)}"
            )
        ids = [digits(id) for id in given]
        odd = [id for id in ids if not isinstance(id, str)]
        if odd:
            raise InvalidTypeError(
                f"Expected relevant[{query!r}] to name ids, each a str, got {shown(odd[0])}"
            )
        graded = dict(zip(ids, given.values() if isinstance(given, Mapping) else repeat(1.0)))
        for id, grade in graded.items():
            if isinstance(grade, bool) or not isinstance(grade, numbers.Real) or not _usable(grade, gain):
                raise InvalidArgumentError(
                    f"Expected relevant[{query!r}][{id!r}] to be a finite number whose {gain} gain is "
                    f"neither 0 nor infinite, got {shown(grade)}; small integers are usual"
                )
        if any(grade > 0 for grade in graded.values()):
            found[query] = {id: float(grade) for id, grade in graded.items()}
    if not found:
        raise InvalidArgumentError("no query has a relevant record, so there is nothing to measure")
    return found


def _warn_missing(collection: Collection, grades: Mapping[str, Mapping[str, float]]) -> None:
    """Warn about relevant records that are not stored: no way of searching can find them."""
    named = list(dict.fromkeys(id for each in grades.values() for id, grade in each.items() if grade > 0))
    stored = set(collection.get(ids=named, include=[])["ids"])
    if missing := [id for id in named if id not in stored]:
        warnings.warn(
            f"relevant names {len(missing):,} of {len(named):,} records that are not in the collection "
            f"{collection.name!r}, such as {missing[0]!r}: they count as not found. Compare the ids with "
            "collection.head()['ids']; pieces of split texts have ids such as 'a#0'",
            UserWarning,
            stacklevel=3,
        )


def _usable(grade: Any, gain: str) -> bool:
    """Whether a grade is finite, and so is its gain, which must not vanish either."""
    try:
        return math.isfinite(grade) and (
            grade <= 0 or _LEAST < measures.GAINS[gain](float(grade)) < 1 / _LEAST
        )
    except OverflowError:
        return False


def _by_query(collection: Collection, query: Any, k: int) -> list[str]:
    if isinstance(query, Search):
        ids: list[str] = collection.search(query)["ids"][0][:k]
        return ids
    inputs = {"query_texts": [query]} if isinstance(query, str) else {"query_embeddings": [query]}
    found: list[str] = collection.query(**inputs, n_results=k, include=[])["ids"][0]
    return found


def _ids(way: str, query: str, found: Any) -> list[str]:
    ids = list(found) if isinstance(found, (list, tuple)) else None
    if ids is None or not all(isinstance(id, str) for id in ids):
        raise InvalidTypeError(
            f"Expected the way {way!r} to return a list of ids for {query!r}, got {shown(found)}"
        )
    if len(set(ids)) != len(ids):
        raise InvalidArgumentError(f"the way {way!r} returned an id more than once for the query {query!r}")
    return ids


def _measured(
    found: Sequence[str], grades: Mapping[str, float], *, k: int, gain: Callable[[float], float]
) -> dict[str, float]:
    return {
        "ndcg": measures.ndcg(found, grades, k, gain),
        "mrr": measures.reciprocal_rank(found, grades, k),
        "recall": measures.recall(found, grades, k),
        "precision": measures.precision(found, grades, k),
        "map": measures.average_precision(found, grades, k),
    }
