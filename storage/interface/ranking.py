"""Requests of `search`: how records get a score, which groups they form, and which page is returned.

A rank is a tree. A leaf gives some records a value, its support, and may have a default for all others.
Requests are made with keywords only, as those of `requests`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

from .requests import ALL_RECORDS, Selection
from .sparse_vector import SparseVector
from .values import Field, Floats

SCORE = "#score"
EMBEDDING = "#embedding"
MAX_DEPTH = 100  # of a rank; deeper ones would exceed what JSON writers nest

Function: TypeAlias = Literal["abs", "exp", "log"]
Operation: TypeAlias = Literal["sum", "sub", "mul", "div", "max", "min"]


class Constant(NamedTuple):
    """The same score for each record. It gives no record a place in the result."""

    value: float


class Nearest(NamedTuple):
    """The distances of the nearest records to a vector, float32 (1, dim).

    limit        how many records get a score
    default      the score of all other records; None: they have none
    return_rank  the place, 0 for the nearest, in place of the distance
    """

    vector: Floats
    limit: int
    default: float | None = None
    return_rank: bool = False


class SparseNearest(NamedTuple):
    """1 minus the product of a sparse query with the sparse vectors at a metadata key, for the nearest ones.

    Only records that share an index with the query have a score.

    vector       the query
    limit, default, return_rank  as in Nearest
    """

    key: str
    vector: SparseVector
    limit: int
    default: float | None = None
    return_rank: bool = False


class Apply(NamedTuple):
    """A function of a rank."""

    function: Function
    rank: Rank


class Combine(NamedTuple):
    """At least two ranks, combined from the left."""

    operation: Operation
    ranks: tuple[Rank, ...]


Leaf: TypeAlias = "Nearest | SparseNearest"
Rank: TypeAlias = "Constant | Nearest | SparseNearest | Apply | Combine"


def leaves(rank: Rank | None) -> Iterator[Leaf]:
    """Yield the leaves of a rank that are searches."""
    waiting = [] if rank is None else [rank]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Combine):
            waiting.extend(each.ranks)
        elif isinstance(each, Apply):
            waiting.append(each.rank)
        elif not isinstance(each, Constant):
            yield each


class Grouping(NamedTuple):
    """Which records of each group stay: the `k` first in the order of `order`.

    keys     records with equal values of these metadata keys form a group; a missing key is a value, too
    order    metadata keys, or SCORE; the most important first
    largest  whether the order descends
    """

    keys: tuple[str, ...]
    order: tuple[str, ...]
    k: int
    largest: bool


class SearchRequest(NamedTuple):
    """A search.

    selection  the records to consider
    rank       what to sort by, ascending; None: insertion order
    grouping   applied to the sorted records; None: all stay
    limit      the most records to return; None: all
    fields     the columns to read in addition to the ids
    keys       the metadata keys to return; None: all
    score      whether to return the scores
    explain    whether to return what was done, with times
    """

    selection: Selection = ALL_RECORDS
    rank: Rank | None = None
    grouping: Grouping | None = None
    offset: int = 0
    limit: int | None = None
    fields: frozenset[Field] = frozenset()
    keys: tuple[str, ...] | None = None
    score: bool = False
    explain: bool = False
