from collections.abc import Callable
from typing import Any

VERSION: int

def best(
    starts: Any,
    rows: Any,
    values: Any,
    lengths: Any,
    bm25: tuple[float, float, float] | None,
    picked: Any,
    weights: Any,
    bounds: Any,
    stop: int,
    allowed: Any,
    positions: Any,
    out_rows: Any,
    out_scores: Any,
    rising: bool,
    /,
) -> int: ...
def scores(
    starts: Any,
    rows: Any,
    values: Any,
    lengths: Any,
    bm25: tuple[float, float, float] | None,
    picked: Any,
    weights: Any,
    wanted: Any,
    out_scores: Any,
    out_found: Any,
    /,
) -> None: ...
def order(terms: Any, out: Any, /) -> None: ...
def sound(terms: Any, starts: Any, rows: Any, size: int, /) -> bool: ...
def words(
    texts: list[str], stopwords: tuple[str, ...], longest: int, hashes: Callable[[str], list[int]], /
) -> tuple[bytes, bytes, bytes, bytes]: ...
def vectors_json(starts: Any, indices: Any, numbers: Any, texts: tuple[bytes, ...], /) -> list[str]: ...
