"""Records as columns: the Arrow schemas, and metadata as text.

Owns: the shape of a record in logs and segments. All functions are pure and access no files.

A record has a position, id, document, uri, metadata and a vector of float32. The position is its place in
insertion order (int64), which updates keep. The metadata is a JSON object as text, or null if it is empty.
JSON preserves the order of keys and the differences between types (2, 2.0, true, "2").
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrow.arrays import WIDE_TEXT, matrix, numbers, text_array, to_list
from ..arrow.lazy_pyarrow import pa
from ..arrow.text_column import objects
from ..interface import metadata_json
from ..interface.errors import Corruption, InvalidArgument
from ..interface.values import EncodedMetadata, Floats

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

TEXT_FIELDS = ("id", "document", "uri", "metadata")
_STEP = 8192  # the number of records whose metadata is encoded as one JSON text


@functools.lru_cache(maxsize=256)
def schema(dimension: int) -> pa.Schema:
    """Return the schema of records in the frames of older logs."""
    return pa.schema(
        [
            pa.field("position", pa.int64(), nullable=False),
            *(pa.field(name, pa.string()) for name in TEXT_FIELDS),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
        ]
    )


@dataclass(slots=True)
class Columns:
    """Whole records, ready to be stored. The lists contain str or None. `metadata` has JSON texts.

    positions  int64 (n,)
    vectors    float32 (n, dim)
    """

    positions: Ints
    ids: list[str]
    documents: list[str | None]
    uris: list[str | None]
    metadata: list[str | None]
    vectors: Floats

    def __len__(self) -> int:
        return len(self.ids)

    def texts(self) -> tuple[Sequence[str | None], ...]:
        """The text columns in the order of TEXT_FIELDS."""
        return self.ids, self.documents, self.uris, self.metadata

    def nbytes(self) -> int:
        """Estimate the size of the records in bytes."""
        return int(self.vectors.nbytes) + sum(map(text_size, self.texts()))

    @classmethod
    def from_batch(cls, batch: pa.RecordBatch) -> Columns:
        """Convert a batch with the schema `schema(dim)`. The vectors are a view of the batch."""
        lists = [to_list(batch.column(index + 1)) for index in range(len(TEXT_FIELDS))]
        return cls(
            positions=numbers(batch.column(0)),
            ids=lists[0],  # type: ignore[arg-type]
            documents=lists[1],
            uris=lists[2],
            metadata=lists[3],
            vectors=matrix(batch.column(5)),
        )


def text_size(column: Sequence[str | None]) -> int:
    """Count the characters in a column."""
    return sum(map(len, filter(None, column)))


def encode_metadata(metadatas: Sequence[Mapping[str, Any] | None] | None, count: int) -> list[str | None]:
    """Encode metadata as one JSON text per record.

    An empty or absent mapping becomes None. None values in a mapping are dropped.
    """
    if metadatas is None:
        return [None] * count
    if type(metadatas) is EncodedMetadata:  # `isinstance` of a Sequence class would dominate the time
        return list(metadatas.texts)
    texts: list[str | None] = []
    dumps = metadata_json.dumps
    for index, metadata in enumerate(metadatas):
        if not metadata:
            texts.append(None)
            continue
        if None in metadata.values():
            metadata = {key: value for key, value in metadata.items() if value is not None}
            if not metadata:
                texts.append(None)
                continue
        try:
            texts.append(dumps(metadata).decode())
        except TypeError as error:
            raise InvalidArgument(f"metadatas[{index}] cannot be stored: {error}") from error
    return texts


def metadata_array(metadatas: Sequence[Mapping[str, Any] | None]) -> pa.Array:
    """Make the same column as `encode_metadata`, without a Python string per record."""
    blocks = [metadatas[start : start + _STEP] for start in range(0, len(metadatas), _STEP)]
    parts = [part for block in blocks if (part := _json_objects(block)) is not None]
    if len(parts) < len(blocks):
        return text_array(encode_metadata(metadatas, len(metadatas)))
    if len(parts) == 1:
        return parts[0]
    if sum(part.nbytes for part in parts) < WIDE_TEXT:
        return pa.concat_arrays(parts)
    return pa.concat_arrays([part.cast(pa.large_string()) for part in parts])


def _json_objects(mappings: Sequence[Mapping[str, Any] | None]) -> pa.Array | None:
    """Encode all mappings as one JSON list, and split it into the objects.

    Returns None if the result might differ from `encode_metadata`. This is so if a mapping is empty or
    contains None, if the objects cannot be separated, or if a value cannot be encoded.
    """
    try:
        data = metadata_json.dumps(mappings)
    except TypeError:
        return None
    if not all(mappings) or b":null" in data or len(data) >= WIDE_TEXT:
        return None
    # Objects are separated by `},{"`. This sequence occurs elsewhere only if a text ends in `},{`. In that
    # case there are too many occurrences.
    line = np.frombuffer(data, np.uint8)
    at = np.flatnonzero(line[:-1] == ord("{"))[1:]
    at = at[(line[at + 1] == ord('"')) & (line[at - 1] == ord(",")) & (line[at - 2] == ord("}"))]
    if len(at) != len(mappings) - 1:
        return None
    text = data.replace(b'},{"', b'}{"')  # removes the commas between the objects
    offsets = np.empty(len(mappings) + 1, np.int32)
    offsets[0], offsets[-1] = 0, len(text) - 2
    offsets[1:-1] = at - np.arange(2, len(at) + 2)
    return pa.StringArray.from_buffers(
        len(mappings), pa.py_buffer(offsets), pa.py_buffer(text).slice(1, len(text) - 2)
    )


def decode_metadata(texts: Sequence[str | None]) -> list[dict[str, Any] | None]:
    """Decode the texts to mappings, parsing all of them at once. Raises Corruption."""
    if not texts:
        return []
    joined = ",".join([text or "null" for text in texts])
    try:
        return objects(f"[{joined}]", len(texts))
    except ValueError as error:
        raise Corruption("the metadata of a record", str(error)) from error


def merge_metadata(
    texts: Sequence[str | None], changes: Sequence[Mapping[str, Any] | None]
) -> list[str | None]:
    """Apply updates key by key, parsing all texts at once.

    A None value deletes its key. None instead of a mapping changes nothing.
    """
    merged = [
        {**(old or {}), **change} if change else old for old, change in zip(decode_metadata(texts), changes)
    ]
    return encode_metadata(merged, len(merged))
