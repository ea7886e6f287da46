"""The requests to a database: which collection, which records, and which of their columns.

Owns: the shapes of requests. Validation creates a request once. Clients, backends and the engine pass it on
unchanged. `chroma.wire.request_codec` writes and reads it as JSON.

Requests are named tuples. A frozen dataclass takes three times as long to make, and a `get` by id makes three
requests in 25 µs. Requests are made with keywords only, as tests/test_style.py checks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from .values import Field, Floats


class Selection(NamedTuple):
    """Selects the records that have one of the ids and match both filters.

    ids             allowed ids; None: any id
    where           a filter on metadata, as the caller wrote it; the engine parses it
    where_document  a filter on documents, as the caller wrote it
    """

    ids: Sequence[str] | None = None
    where: Mapping[str, Any] | None = None
    where_document: Mapping[str, Any] | None = None

    @property
    def everything(self) -> bool:
        """Whether all records are selected."""
        return self.ids is None and self.where is None and self.where_document is None


class Page(NamedTuple):
    """Selects a part of the selected records.

    limit     the most records to return; None: all
    offset    the number of records to skip first
    order_by  pairs (metadata key, descending); empty: insertion order
    """

    limit: int | None = None
    offset: int = 0
    order_by: Sequence[tuple[str, bool]] = ()

    @property
    def whole(self) -> bool:
        """Whether the page has all selected records."""
        return self.limit is None and not self.offset


ALL_RECORDS = Selection()
WHOLE = Page()


class GetRequest(NamedTuple):
    """Records to read. `fields` are the columns to read in addition to the ids."""

    selection: Selection = ALL_RECORDS
    page: Page = WHOLE
    fields: frozenset[Field] = frozenset()


QueryMode: TypeAlias = Literal["dense", "lexical", "hybrid"]


class QueryRequest(NamedTuple):
    """A search for the nearest records to each vector.

    vectors    float32 (n, dim)
    k          the most records to return per vector
    selection  the records to consider; ids that are not stored are ignored
    fields     the columns to read in addition to the ids
    exact      compare with every selected record, without the index
    max_distance  the largest distance of a returned record; None: any
    diversity  from 0, the nearest records, to 1, records that differ from each other as much as possible
    candidates the nearest records, per vector, among which diversity chooses; None: `candidates_for(k)`
    explain    whether to return what was done, with times
    mode       what counts: "dense" the distance, "lexical" the words of a text, "hybrid" both
    texts      the texts of the queries, unless the mode is "dense". If it is "lexical", the vectors have
               the shape (n, 0)

    In the mode "hybrid", `candidates` counts the records of each list that are fused; None: at least 100.
    """

    vectors: Floats
    k: int
    selection: Selection = ALL_RECORDS
    fields: frozenset[Field] = frozenset()
    exact: bool = False
    max_distance: float | None = None
    diversity: float = 0.0
    candidates: int | None = None
    explain: bool = False
    mode: QueryMode = "dense"
    texts: Sequence[str] = ()

    @property
    def considered(self) -> int:
        """The most records per vector that are found before some of them are returned."""
        if not self.diversity:
            return self.k
        return candidates_for(self.k) if self.candidates is None else self.candidates


def candidates_for(k: int) -> int:
    """Return from how many of the nearest records `k` are chosen by diversity or by a reranker.

    Five times as many, as langchain takes by default, and at least 50, because a few cost little.
    """
    return max(5 * k, 50)


class FacetRequest(NamedTuple):
    """Counts of the values of metadata keys.

    keys   the metadata keys
    limit  the most values to return per key; None: all
    bins   the parts of a histogram of the numbers; None: neither a histogram nor the range of the values
    """

    keys: Sequence[str]
    selection: Selection = ALL_RECORDS
    limit: int | None = None
    bins: int | None = None


OnUnmatched: TypeAlias = Literal["refuse", "warn", "ignore"]


class DeleteRequest(NamedTuple):
    """Records to delete. With `limit`, only the first `limit` selected records, in insertion order.

    unmatched  what to do about a filter with a key or type that no record has
    """

    selection: Selection
    limit: int | None = None
    unmatched: OnUnmatched = "warn"


class NewCollection(NamedTuple):
    """A collection to create. `configuration` and `schema` are as in CollectionInfo.

    get_or_create  if the name is taken, return the collection that has it
    id             a UUID; None: a new one. Only the engine in this process accepts an id
    """

    name: str
    metadata: Mapping[str, Any] | None = None
    configuration: Mapping[str, Any] = MappingProxyType({})
    get_or_create: bool = False
    id: str | None = None
    schema: Mapping[str, Any] | None = None


class CollectionChanges(NamedTuple):
    """Changes to a collection. A field that is None leaves its part unchanged.

    `metadata` replaces the whole mapping. `configuration` is the complete new configuration.
    """

    name: str | None = None
    metadata: Mapping[str, Any] | None = None
    configuration: Mapping[str, Any] | None = None
