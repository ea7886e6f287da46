"""The functions in `_graph.c`.

Arrays must be C-contiguous and have the given types. Invalid arguments raise an error and change nothing.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..interface.values import Floats
from ..schema.record_columns import Ints

VERSION: int

class Damaged(Exception): ...

class Graph:
    def __init__(
        self,
        space: str,
        codes: npt.NDArray[np.uint8],
        counts: npt.NDArray[Any],
        links: npt.NDArray[np.uint8],
        levels: npt.NDArray[np.uint8],
        upper: npt.NDArray[np.uint32],
        neighbors: int,
        entry: int,
        matrix: Floats | None,
        floor: float,
        dimension: int,
        sums: npt.NDArray[np.uint64] | None,
        block_rows: int,
        /,
    ) -> None: ...
    def search(
        self,
        queries: Floats,
        vectors: Floats,
        k: int,
        ef: int,
        width: int,
        factor: int,
        allowed: npt.NDArray[np.uint8] | None,
        rows: Ints | bool | None,
        rows_out: Ints,
        distances_out: Floats,
        counts_out: npt.NDArray[np.int32],
        /,
    ) -> None: ...
    def kept(self) -> tuple[int, int]: ...

class Builder:
    entry: int
    def __init__(
        self,
        space: str,
        codes: npt.NDArray[np.uint8],
        ground: npt.NDArray[np.uint32],
        levels: npt.NDArray[np.uint8],
        upper: npt.NDArray[np.uint32],
        dimension: int,
        neighbors: int,
        ef: int,
        entry: int,
        /,
    ) -> None: ...
    def insert(self, rows: npt.NDArray[np.uint32], /) -> None: ...
    def adopt(self, graph: Graph, rows: npt.NDArray[np.uint32], start: int, stop: int, /) -> None: ...
    def connect(self, rows: npt.NDArray[np.uint32], reached: npt.NDArray[np.uint8], /) -> None: ...

def code_bytes(dimension: int, /) -> int: ...
def sums(vectors: Floats, block_rows: int, out: npt.NDArray[np.uint64], /) -> None: ...
def encode(space: str, vectors: Floats, out: npt.NDArray[np.uint8], /) -> None: ...
