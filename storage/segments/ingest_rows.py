"""New records, written directly from a call into a segment.

Owns: making the segment's columns from the values in the call. Each column is made when it is requested, so
the vectors are being written while the other columns are computed. Metadata is encoded without making a
Python string per record. The filter columns are made from the given mappings, not from their JSON.
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
    """Records with ascending positions and the interface of StoredRows. A column without values is None."""

    positions: Ints
    ids: Sequence[str]
    documents: Sequence[str | None] | None
    uris: Sequence[str | None] | None
    metadatas: Sequence[Mapping[str, Any] | None] | None
    vectors: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def nbytes(self) -> int:
        """Estimate the size of the records in bytes, without their metadata."""
        size = int(self.vectors.nbytes) + text_size(self.ids)
        for column in (self.documents, self.uris):
            if column is not None:
                size += text_size(column)
        return size

    @cached_property
    def texts(self) -> dict[str, pa.Array]:
        """An Arrow string array for each of TEXT_FIELDS."""
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
        """Make the filter columns."""
        given = self.metadatas
        if given is None:
            return MetadataColumns(len(self))
        if not isinstance(given, EncodedMetadata):
            return metadata_columns.from_mappings(len(self), given)
        if given.columns is not None:
            return metadata_columns.from_columns(len(self), given.columns)
        if given.mappings is not None:
            found = metadata_columns.from_mappings(len(self), given.mappings)
            for key, (rows, vectors) in (given.vectors or {}).items():
                metadata_columns.add_vectors(found, key, rows, vectors)
            return found
        return metadata_columns.build(len(self), [given.texts])


def new_positions(start: int, count: int) -> Ints:
    """Return `count` consecutive positions for new records, beginning at `start`."""
    return start + np.arange(count, dtype=np.int64)
