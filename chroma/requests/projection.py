"""The projection of a scan: the columns of the table, and the form of the metadata in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..storage.interface.requests import ALL_RECORDS, WHOLE, GetRequest, Page, Selection
from ..storage.interface.values import Field

Form = Literal["columns", "json"]
ALL_FIELDS: frozenset[Field] = frozenset(("documents", "uris", "embeddings", "metadatas"))


@dataclass(frozen=True, slots=True)
class Projection:
    """The columns to read. `columns` is None for all columns, `keys` is None for all metadata."""

    columns: tuple[str, ...] | None = None
    fields: frozenset[Field] = ALL_FIELDS
    keys: tuple[str, ...] | None = None
    form: Form = "columns"


class ScanRequest(NamedTuple):
    """Records to read as a stream of Arrow record batches.

    whole  the caller reads the whole stream at once, so the batches are few and large
    """

    selection: Selection = ALL_RECORDS
    page: Page = WHOLE
    projection: Projection = Projection()
    whole: bool = False

    def as_get(self, fields: frozenset[Field] | None = None) -> GetRequest:
        """A get of the same records, with `fields`, by default those of the projection."""
        chosen = self.projection.fields if fields is None else fields
        return GetRequest(selection=self.selection, page=self.page, fields=chosen)
