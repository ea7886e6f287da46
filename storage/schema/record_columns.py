"""Records as columns: the Arrow schemas, and metadata as text.

Owns: the shape of a record in logs and segments. Pure functions, no files.

A record is: position int64 (its place in insertion order, which it keeps through updates), id,
document, uri, metadata (a JSON object as text, null when empty) and a vector of float32.
JSON keeps the types apart that must stay apart (2, 2.0, true, "2") and the order of keys.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from ..arrow.arrays import WIDE_TEXT, matrix, numbers, text_array, to_list
from ..arrow.lazy_pyarrow import pa
from ..arrow.text_column import objects
from ..interface.errors import Corruption, InvalidArgument
from ..interface.values import EncodedMetadata, Floats

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

TEXT_FIELDS = ("id", "document", "uri", "metadata")
_STEP = 8192  # records whose metadata is encoded as one piece of JSON


@functools.lru_cache(maxsize=256)
def schema(dimension: int) -> pa.Schema:
    """The schema of records in a frame of older logs."""
    return pa.schema(
        [
            pa.field("position", pa.int64(), nullable=False),
            *(pa.field(name, pa.string()) for name in TEXT_FIELDS),
            pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
        ]
    )


@dataclass(slots=True)
class Columns:
    """Whole records, ready to be stored. Lists hold str or None; `metadata` is JSON text.

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
        """Roughly how large the records are."""
        return int(self.vectors.nbytes) + sum(map(text_size, self.texts()))

    @classmethod
    def from_batch(cls, batch: pa.RecordBatch) -> Columns:
        """The rows of a batch of `schema(dim)`; vectors are a view of it."""
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
    """Characters in a column."""
    return sum(map(len, filter(None, column)))


def encode_metadata(metadatas: Sequence[Mapping[str, Any] | None] | None, count: int) -> list[str | None]:
    """One JSON text per record; None for an empty or absent mapping, None values dropped."""
    if metadatas is None:
        return [None] * count
    if type(metadatas) is EncodedMetadata:  # a Sequence: `isinstance` takes longer than all else here
        return list(metadatas.texts)
    texts: list[str | None] = []
    dumps = orjson.dumps
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
    """The column of `encode_metadata`, without a Python string per record."""
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
    """The mappings as JSON, made at once as a list of objects and cut between these. None where that may
    not be what `encode_metadata` makes: some are empty or hold None, or cannot be told apart, or encoded."""
    try:
        data = orjson.dumps(mappings)
    except TypeError:
        return None
    if not all(mappings) or b":null" in data or len(data) >= WIDE_TEXT:
        return None
    # Objects meet in `},{"`. It stands elsewhere only where a text ends in `},{`: then they are too many.
    line = np.frombuffer(data, np.uint8)
    at = np.flatnonzero(line[:-1] == ord("{"))[1:]
    at = at[(line[at + 1] == ord('"')) & (line[at - 1] == ord(",")) & (line[at - 2] == ord("}"))]
    if len(at) != len(mappings) - 1:
        return None
    text = data.replace(b'},{"', b'}{"')  # without the commas between them
    offsets = np.empty(len(mappings) + 1, np.int32)
    offsets[0], offsets[-1] = 0, len(text) - 2
    offsets[1:-1] = at - np.arange(2, len(at) + 2)
    return pa.StringArray.from_buffers(
        len(mappings), pa.py_buffer(offsets), pa.py_buffer(text).slice(1, len(text) - 2)
    )


def decode_metadata(texts: Sequence[str | None]) -> list[dict[str, Any] | None]:
    """The mappings behind the texts, in one parse over all of them. Raises Corruption."""
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
    """Apply updates key by key: None deletes a key, None as a whole leaves all. One parse over all texts."""
    merged = [
        {**(old or {}), **change} if change else old for old, change in zip(decode_metadata(texts), changes)
    ]
    return encode_metadata(merged, len(merged))
