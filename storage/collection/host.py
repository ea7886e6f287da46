"""The interfaces that a database offers to its collections, and a collection to its record store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ..catalog.catalog import Catalog
from ..filters.duckdb_tables import FilterDatabase
from ..index.ngrams import Ngrams
from ..io.disk import Folder
from ..memory_budget import MemoryBudget
from ..scheduler import Scheduler
from ..schema.record_columns import Ints
from ..segments.snapshot import SegmentView, Snapshot


class Services(NamedTuple):
    """The services of an engine that its collections share."""

    database: FilterDatabase
    background: Scheduler
    budget: MemoryBudget


class CollectionHost(Protocol):
    """The database that a collection belongs to."""

    folder: Folder
    services: Services
    folder_read_only: bool

    @property
    def catalog(self) -> Catalog: ...
    @property
    def closed(self) -> bool: ...
    def still_has(self, id: str) -> bool:
        """Whether the catalog has the collection, so that it may be written to."""
        ...

    def has_records(self, id: str) -> bool:
        """Whether the catalog records that the collection is not empty."""
        ...


class StoreOwner(Protocol):
    """The collection that a record store belongs to."""

    @property
    def name(self) -> str: ...
    def exists(self) -> bool:
        """Whether the collection is still in the catalog."""
        ...

    def has_records(self) -> bool:
        """Whether the catalog already records that the collection is not empty."""
        ...

    def ngrams(self, view: SegmentView) -> Ngrams | None:
        """The index over the documents of a view, if there is one that is open."""
        ...

    def after_commit(self) -> None:
        """Called after each commit, before the commit is synced."""
        ...

    def after_sync(self) -> None:
        """Called once a commit is durable."""
        ...

    def before_merge(self, views: Sequence[SegmentView], segment: str, positions: Ints) -> None:
        """Called before the manifest names a new segment, which has the live rows of these views.

        positions  those of the new segment's rows
        """
        ...

    def after_adoption(self, snapshot: Snapshot) -> None:
        """Called after the store has loaded or adopted a manifest, which has the same records in other files
        than an earlier one."""
        ...
