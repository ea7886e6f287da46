"""What a table has of the records that are read: its columns, and the form of their metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from ..storage.interface.requests import ALL_RECORDS, WHOLE, GetRequest, Page, Selection
from ..storage.interface.values import Field

Form = Literal["columns", "json"]
ALL_FIELDS: frozenset[Field] = frozenset(("documents", "uris", "embeddings", "metadatas"))


@dataclass(frozen=True, slots=True)
class Projection:
    """What to read. `columns` None: all; `keys` None: all metadata."""

    columns: tuple[str, ...] | None = None
    fields: frozenset[Field] = ALL_FIELDS
    keys: tuple[str, ...] | None = None
    form: Form = "columns"


class ScanRequest(NamedTuple):
    """Records to read as a stream of Arrow record batches.

    whole  all of them are wanted at once, so they come in few and large batches
    """

    selection: Selection = ALL_RECORDS
    page: Page = WHOLE
    projection: Projection = Projection()
    whole: bool = False

    def as_get(self, fields: frozenset[Field] | None = None) -> GetRequest:
        """The same records, of which a get would give `fields`, or those of the projection."""
        chosen = self.projection.fields if fields is None else fields
        return GetRequest(selection=self.selection, page=self.page, fields=chosen)
