"""The functions in `_kernel.c`.

Arrays must be C-contiguous and have the given types. Invalid arguments raise an error and change nothing.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..interface.values import Floats
from ..schema.record_columns import Ints

VERSION: int

def distances(
    space: str,
    query: Floats,
    vectors: Floats,
    rows: Ints | None,
    lengths: npt.NDArray[np.float64] | None,
    out: Floats,
    /,
) -> None: ...
def lengths(vectors: Floats, out: npt.NDArray[np.float64], /) -> None: ...
def scan(
    space: str,
    query: Floats,
    vectors: Floats,
    rows: Ints | None,
    lengths: npt.NDArray[np.float64] | None,
    squares: Floats,
    rows_out: Ints,
    distances_out: Floats,
    /,
) -> None: ...
def nearest(
    space: str,
    query: Floats,
    vectors: Floats,
    rows: Ints | None,
    lengths: npt.NDArray[np.float64] | None,
    rows_out: Ints,
    distances_out: Floats,
    /,
) -> None: ...
def texts(
    offsets: memoryview, data: memoryview, validity: memoryview | None, rows: npt.NDArray[Any], /
) -> list[str | None]: ...
def json_array(offsets: memoryview, data: memoryview, rows: npt.NDArray[Any], /) -> bytes: ...
def encoded(texts: list[str | None], /) -> tuple[bytes, bytes, int]: ...
def same_file(path: bytes, device: int, inode: int, /) -> bool: ...
