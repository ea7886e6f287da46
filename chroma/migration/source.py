"""The interface of all sources of a migration: collections, and their records in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from ..errors import CorruptionError
from ..storage.interface.values import CollectionRef, Floats


@dataclass(frozen=True, slots=True)
class SourceCollection:
    """A collection to migrate.

    metadata       the original metadata, with `hnsw:*` keys; None if it has none
    configuration  the form in the catalog: {"hnsw": complete settings, "embedding_function": stored form}
    schema         the form in the catalog; None if it says nothing
    count          number of records when the collections were listed
    warnings       properties that cannot be copied unchanged
    """

    tenant: str
    database: str
    id: str
    name: str
    metadata: dict[str, Any] | None
    configuration: dict[str, Any]
    dimension: int | None
    count: int
    warnings: tuple[str, ...] = ()
    schema: dict[str, Any] | None = None

    @property
    def ref(self) -> CollectionRef:
        """The reference to the collection in requests to its source."""
        return CollectionRef(self.tenant, self.database, self.id)

    @property
    def where(self) -> str:
        """The name of the collection in messages."""
        return f"{self.name!r} of {self.tenant}/{self.database}"


@dataclass(slots=True)
class Part:
    """Consecutive records. All columns have `len(ids)` entries.

    position  position of the first record in the collection, from 0
    vectors   float32 (n, dim); None if no record of this part has a vector
    lost      the reason, by row, for each record that cannot be migrated, such as a missing vector
    """

    position: int
    ids: list[str]
    vectors: Floats | None
    metadatas: list[dict[str, Any] | None]
    documents: list[str | None]
    uris: list[str | None]
    lost: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Source(Protocol):
    """A chromadb folder or server. Reading does not change it."""

    @property
    def location(self) -> str:
        """The path or the URL of the source."""
        ...

    @property
    def warnings(self) -> Sequence[str]: ...

    def fingerprint(self) -> Mapping[str, Any]:
        """Return plain values that differ after a change of the source. Empty if it cannot detect changes."""
        ...

    def count(self, collection: SourceCollection) -> int:
        """Return the current number of records."""
        ...

    def tenants(self) -> list[str]:
        """Return all tenants, including those without databases."""
        ...

    def databases(self) -> list[tuple[str, str]]:
        """Return all databases as (tenant, database), including those without collections."""
        ...

    def collections(self) -> list[SourceCollection]:
        """Return the collections in the order of their creation, if the source knows this order."""
        ...

    def read(self, collection: SourceCollection, start: int, stop: int) -> Iterator[Part]:
        """Yield the records from position `start` to `stop`, in parts of bounded size."""
        ...

    def close(self) -> None: ...


def check_uuid(id: str, location: str) -> None:
    """Raise CorruptionError unless `id` is a UUID, because ids become folder names."""
    try:
        same = str(UUID(id)) == id
    except ValueError:
        same = False
    if not same:
        raise CorruptionError(f"{location} has {id!r} where a UUID belongs", location)
