"""What every source of a migration tells, whatever it reads: collections, and their records in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from ..errors import CorruptionError
from ..storage.interface.values import CollectionRef, Floats


@dataclass(frozen=True, slots=True)
class SourceCollection:
    """A collection to be moved.

    metadata       as it was given, `hnsw:*` keys included; None for none
    configuration  what our catalog stores: {"hnsw": complete settings, "embedding_function": stored form}
    count          records at the time of listing
    warnings       what cannot be carried over as it is
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

    @property
    def ref(self) -> CollectionRef:
        """What names it in requests to its source."""
        return CollectionRef(self.tenant, self.database, self.id)

    @property
    def where(self) -> str:
        """How messages call it."""
        return f"{self.name!r} of {self.tenant}/{self.database}"


@dataclass(slots=True)
class Part:
    """Some records that follow each other; all columns have `len(ids)` entries.

    position  of the first one among the records of the collection, from 0
    vectors   float32 (n, dim); None when the collection has no vector at all in this part
    lost      reasons by row for records that cannot be moved, such as a vector that is nowhere
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
    """A folder or a server of Chroma. Reading it changes nothing there."""

    @property
    def place(self) -> str:
        """The path or the URL."""
        ...

    @property
    def warnings(self) -> Sequence[str]: ...

    def fingerprint(self) -> Mapping[str, Any]:
        """Plain values that differ when the source was changed in between; none where it cannot tell."""
        ...

    def count(self, collection: SourceCollection) -> int:
        """The number of records now."""
        ...

    def tenants(self) -> list[str]:
        """Also those without databases."""
        ...

    def databases(self) -> list[tuple[str, str]]:
        """(tenant, database), also those without collections."""
        ...

    def collections(self) -> list[SourceCollection]:
        """In the order they were made, as far as the source knows it."""
        ...

    def read(self, collection: SourceCollection, start: int, stop: int) -> Iterator[Part]:
        """The records at these positions, in parts of bounded size."""
        ...

    def close(self) -> None: ...


def check_uuid(id: str, place: str) -> None:
    """Ids become names of folders, so that nothing else may stand where one is read."""
    try:
        same = str(UUID(id)) == id
    except ValueError:
        same = False
    if not same:
        raise CorruptionError(f"{place} has {id!r} where a UUID belongs", place)
