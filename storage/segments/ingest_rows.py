"""New records on their way from a call to a segment, with nothing in between.

Owns: the columns of a segment made from the values of the call, each when it is asked for, so that the
vectors are being written while the rest is computed. No Python string is made per text of metadata, and
the filter columns come from the given mappings, not from their JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..arrow.arrays import text_array
from ..arrow.lazy_pyarrow import pa
from ..interface.values import EncodedMetadata, Floats
from ..schema import metadata_columns
from ..schema.metadata_columns import MetadataColumns
from ..schema.record_columns import Ints, metadata_array, text_size
from .segment import Hashes, hash_ids


@dataclass
class NewRows:
    """Records with ascending positions; the interface of StoredRows. `None` columns hold nothing."""

    positions: Ints
    ids: Sequence[str]
    documents: Sequence[str | None] | None
    uris: Sequence[str | None] | None
    metadatas: Sequence[Mapping[str, Any] | None] | None
    vectors: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def nbytes(self) -> int:
        """Roughly how large the records are, but for their metadata."""
        size = int(self.vectors.nbytes) + text_size(self.ids)
        for column in (self.documents, self.uris):
            if column is not None:
                size += text_size(column)
        return size

    @cached_property
    def texts(self) -> dict[str, pa.Array]:
        """An Arrow string array per TEXT_FIELDS."""
        return {
            "id": text_array(self.ids),
            "document": self._text(self.documents),
            "uri": self._text(self.uris),
            "metadata": self._metadata(),
        }

    def _text(self, column: Sequence[str | None] | None) -> pa.Array:
        return pa.nulls(len(self), pa.string()) if column is None else text_array(column)

    def _metadata(self) -> pa.Array:
        if isinstance(self.metadatas, EncodedMetadata):
            return text_array(self.metadatas.texts)
        return self._text(None) if self.metadatas is None else metadata_array(self.metadatas)

    @cached_property
    def hashes(self) -> Hashes:
        return hash_ids(self.ids)

    def metadata_columns(self) -> MetadataColumns:
        """The filter columns."""
        given = self.metadatas
        if given is None:
            return MetadataColumns(len(self))
        if not isinstance(given, EncodedMetadata):
            return metadata_columns.from_mappings(len(self), given)
        if given.columns is not None:
            return metadata_columns.from_columns(len(self), given.columns)
        return metadata_columns.build(len(self), [given.texts])


def new_positions(start: int, count: int) -> Ints:
    """Positions of records that are new."""
    return start + np.arange(count, dtype=np.int64)
