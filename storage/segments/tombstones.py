"""The tombstone file of a segment, which marks its deleted rows.

Owns: the bytes. The file has one bit per row, with the first row in the lowest bit. A set bit marks a deleted
row.
"""

from __future__ import annotations

import numpy as np
import xxhash

from ..interface.errors import Corruption
from ..manifest import SegmentRef
from ..schema.record_columns import Mask


def encode_tombstones(mask: Mask) -> bytes:
    return np.packbits(mask, bitorder="little").tobytes()


def decode_tombstones(path: str, data: object, ref: SegmentRef) -> Mask:
    """Decode `data`, the content of the file at `path`.

    Raises Corruption if it does not match the checksum in `ref`.
    """
    if ref.tombstones is not None and xxhash.xxh3_64_hexdigest(data) != ref.tombstones.xxh3:  # type: ignore[arg-type]
        raise Corruption(path, "its content does not match its checksum")
    bits = np.frombuffer(data, np.uint8)  # type: ignore[call-overload]
    return np.unpackbits(bits, count=ref.rows, bitorder="little").view(np.bool_)
