"""What is asked of a database: which collection, which records, and what of them.

Owns: the shapes of requests. Validation makes a request once; clients, backends and the engine pass it on
unchanged; `chroma.wire.request_codec` writes and reads it as JSON.

Requests are named tuples. A frozen dataclass takes three times as long to make, and a `get` by id makes three
requests in 25 µs. They are made with keywords only, as tests/test_style.py checks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from .values import Field, Floats


class Selection(NamedTuple):
    """Which records: those that have one of the ids and match both filters.

    ids             None: any
    where           a filter on metadata, as the caller wrote it; the engine parses it
    where_document  the same on documents
    """

    ids: Sequence[str] | None = None
    where: Mapping[str, Any] | None = None
    where_document: Mapping[str, Any] | None = None

    @property
    def everything(self) -> bool:
        """Whether all records are selected."""
        return self.ids is None and self.where is None and self.where_document is None


class Page(NamedTuple):
    """Which part of the selected records.

    limit     at most so many; None: all
    offset    so many are left out first
    order_by  (metadata key, descending) pairs; empty: the order of insertion
    """

    limit: int | None = None
    offset: int = 0
    order_by: Sequence[tuple[str, bool]] = ()

    @property
    def whole(self) -> bool:
        """Whether no selected record is left out."""
        return self.limit is None and not self.offset


ALL_RECORDS = Selection()
WHOLE = Page()


class GetRequest(NamedTuple):
    """Records to read; `fields` are the columns beside the ids."""

    selection: Selection = ALL_RECORDS
    page: Page = WHOLE
    fields: frozenset[Field] = frozenset()


class QueryRequest(NamedTuple):
    """The nearest records to each vector.

    vectors    float32 (n, dim)
    k          at most so many per vector
    selection  only these are considered; ids that are not stored are ignored
    fields     the columns to read of what is found, beside the ids
    exact      compare with every selected record, without the index
    """

    vectors: Floats
    k: int
    selection: Selection = ALL_RECORDS
    fields: frozenset[Field] = frozenset()
    exact: bool = False


class DeleteRequest(NamedTuple):
    """Records to delete; `limit`: of those selected the first so many, in the order of insertion."""

    selection: Selection
    limit: int | None = None


class NewCollection(NamedTuple):
    """A collection to make. `configuration` is complete, see CollectionInfo.

    get_or_create  where the name is taken, the collection that has it is the answer
    id             a UUID; None: a new one. Only the engine in this process takes one
    """

    name: str
    metadata: Mapping[str, Any] | None = None
    configuration: Mapping[str, Any] = MappingProxyType({})
    get_or_create: bool = False
    id: str | None = None


class CollectionChanges(NamedTuple):
    """What becomes of a collection; None leaves a part alone. `metadata` replaces the whole mapping;
    `configuration` is the complete new configuration."""

    name: str | None = None
    metadata: Mapping[str, Any] | None = None
    configuration: Mapping[str, Any] | None = None
