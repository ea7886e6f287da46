"""`SparseMatrix`: many sparse vectors as arrays, and as JSON without an object per vector."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class SparseMatrix(NamedTuple):
    """The components of vectors, one vector after the other.

    starts   int64 (vectors + 1,): where each vector begins, and the last one ends
    indices  uint32 (n,), ascending within a vector
    values   float32 or float64 (n,), finite; they are stored as float32
    """

    starts: npt.NDArray[np.int64]
    indices: npt.NDArray[np.uint32]
    values: npt.NDArray[Any]

    def as_json(self) -> list[str]:
        """Return each vector as a JSON object."""
        # Not above: clients of a server do without both, and import this module.
        import orjson

        from ..native import kernel

        bits = self.values.astype(np.float32).view(np.uint32)  # 0.0 and -0.0 are different
        if kernel.postings is None:
            different, numbers = np.unique(bits, return_inverse=True)
            which = numbers.astype(np.uint32)
        else:
            which = np.empty(len(bits), np.uint32)
            different = np.frombuffer(kernel.postings.distinct(bits, which), np.uint32)
        values = different.view(np.float32)
        texts = tuple(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b","))
        if kernel.postings is not None:
            return kernel.postings.vectors_json(self.starts, self.indices, which, texts)  # type: ignore[no-any-return]
        return [self._one(start, end, which, texts) for start, end in pairwise(self.starts.tolist())]

    def _one(self, start: int, end: int, which: npt.NDArray[Any], texts: tuple[bytes, ...]) -> str:
        indices = ",".join(map(str, self.indices[start:end].tolist()))
        values = b",".join([texts[number] for number in which[start:end].tolist()]).decode()
        return f'{{"#type":"sparse_vector","indices":[{indices}],"values":[{values}]}}'
