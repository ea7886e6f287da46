"""The functions in `_text.c`.

Arrays must be C-contiguous and have the given types. Invalid arguments raise an error and change nothing.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

VERSION: int

def contains(
    offsets: npt.NDArray[Any],
    data: npt.NDArray[np.uint8],
    needle: bytes,
    one: int,
    two: int,
    three: int,
    units: npt.NDArray[np.uint64] | None,
    unit: int,
    out: npt.NDArray[np.bool_],
    /,
) -> int: ...
def matches(
    offsets: npt.NDArray[Any],
    data: npt.NDArray[np.uint8],
    program: npt.NDArray[np.int32],
    start: int,
    first: int,
    stop: int,
    rows: npt.NDArray[np.int64] | None,
    out: npt.NDArray[np.bool_],
    backwards: bool,
    /,
) -> bool: ...
def ngrams(
    data: npt.NDArray[np.uint8], unit: int, overlap: int, first: int, out: npt.NDArray[np.uint64], /
) -> None: ...
