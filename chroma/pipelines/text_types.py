"""Decides what columns of texts hold: int64, float64, bool or string.

A column has another type than text only if each of its values, written again, gives the same text. All values
must be written in one way: 1.5 and 2.0, as Python writes numbers, or 1.5 and 2, as Arrow and JavaScript do. A
text such as 01067, +49, 1.10 or 12E4 therefore makes its column text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# The ways in which a column may be written. "python" and "plain" are of floats; the others are of bools.
_BOOLS = {"lower": ("true", "false"), "title": ("True", "False"), "upper": ("TRUE", "FALSE")}
_ALL = ("int64", "python", "plain", *_BOOLS)
_TYPES = {"int64": pa.int64(), "python": pa.float64(), "plain": pa.float64()}
_EXACT = 2**53  # up to this, an int is the same as a float
_DECIMAL = 1e-4  # from this, Python and Arrow write small numbers alike

Mask = npt.NDArray[np.bool_]


class Guess:
    """The ways of writing that fit all texts of a column so far. `seen`: whether it had any."""

    __slots__ = ("seen", "ways")

    def __init__(self, ways: Iterable[str] = _ALL, seen: bool = False) -> None:
        self.ways, self.seen = set(ways), seen

    def look(self, texts: pa.ChunkedArray) -> None:
        """Rule out the types that do not fit these texts. Nulls fit every type."""
        texts = texts.drop_null()
        if not len(texts) or not self.ways:
            return
        self.seen = True
        for name in self.ways.intersection(_BOOLS):
            if texts[0].as_py() not in _BOOLS[name] or not _only(texts, _BOOLS[name]):
                self.ways.discard(name)
        if self.ways.isdisjoint(_TYPES):
            return
        ints = _ints(texts) if "int64" in self.ways else None
        if ints is not None:
            self.ways -= {"python", *_BOOLS}
            if "plain" in self.ways and not _exact(ints):
                self.ways.discard("plain")
            return
        self.ways.discard("int64")
        if not self.ways.isdisjoint(("python", "plain")):
            self.ways -= {"python", "plain"} - _float_ways(texts, self.ways)

    @property
    def type(self) -> pa.DataType:
        """The type of the column. It is text if the column has no value, or if a value would be written
        differently."""
        if not self.seen or not self.ways:
            return pa.string()
        way = next(way for way in _ALL if way in self.ways)
        return _TYPES.get(way, pa.bool_())


def decided(texts: Iterable[str | None]) -> pa.Array:
    """Return texts as an array of the type that fits all of them."""
    array = pa.array(texts, pa.string())
    guess = Guess()
    guess.look(pa.chunked_array([array]))
    if pa.types.is_boolean(guess.type):
        return pc.equal(pc.utf8_lower(array), "true")
    return array.cast(guess.type)


def _only(texts: pa.ChunkedArray, values: Sequence[str]) -> bool:
    return bool(pc.all(pc.is_in(texts, pa.array(values))).as_py())


def _ints(texts: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Return the texts as ints. None if some do not come back."""
    try:
        ints = texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    return ints if pc.all(pc.equal(ints.cast(pa.string()), texts)).as_py() else None


def _exact(ints: pa.ChunkedArray) -> bool:
    """Whether all ints are the same as floats."""
    bounds = pc.min_max(ints).as_py()
    if bounds["min"] >= -_EXACT and bounds["max"] <= _EXACT:
        return True
    return all(int(float(value)) == value for value in ints.to_pylist())


def _float_ways(texts: pa.ChunkedArray, ways: set[str]) -> set[str]:
    """Return those of the ways of writing floats that fit all texts."""
    try:
        floats = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return set()
    if not pc.all(pc.is_finite(floats)).as_py():
        return set()
    again = floats.cast(pa.string())
    equal = _mask(pc.equal(again, texts))
    fitting = set()
    if "plain" in ways and _all(texts, equal & _mask(pc.not_equal(texts, "-0")), _plainly):
        fitting.add("plain")
    if "python" in ways and _all(texts, _python_masks(texts, again, floats, equal), _by_python):
        fitting.add("python")
    return fitting


def _all(texts: pa.ChunkedArray, fits: Mask, written: Callable[[str], bool]) -> bool:
    """Whether all texts fit. Where `fits` leaves it open, `written` decides."""
    return all(written(texts[row].as_py()) for row in np.flatnonzero(~fits).tolist())


def _python_masks(texts: Any, again: Any, floats: Any, equal: Mask) -> Mask:
    """Return which texts Python writes for sure: as Arrow, or as Arrow with .0 behind a whole number."""
    whole = _mask(pc.invert(pc.match_substring_regex(again, "[.e]")))
    decimal = _mask(pc.invert(pc.match_substring(again, "e")))
    large = _mask(pc.greater_equal(pc.abs(floats), _DECIMAL))
    zeros = whole & _mask(pc.equal(pc.binary_join_element_wise(again, ".0", ""), texts))
    return (equal & ~whole & decimal & large) | zeros


def _by_python(text: str) -> bool:
    return repr(float(text)) == text


def _plainly(text: str) -> bool:
    """Whether a text is a whole number that a float holds, written with all its digits."""
    return text.lstrip("-").isdecimal() and repr(int(text)) == text and int(float(text)) == int(text)


def _mask(values: Any) -> Mask:
    return np.asarray(values.to_numpy() if isinstance(values, pa.ChunkedArray) else values, np.bool_)


def named(type: pa.DataType) -> str:
    """Return the name of a type as callers write it: "float64", which Arrow prints as "double"."""
    return {pa.float64(): "float64", pa.float32(): "float32", pa.float16(): "float16"}.get(type, str(type))


def kept(guesses: Mapping[str, Guess]) -> dict[str, Any]:
    """Return guesses as values for JSON."""
    return {name: [guess.seen, *sorted(guess.ways)] for name, guess in guesses.items()}


def restored(found: Mapping[str, Any]) -> dict[str, Guess]:
    """Return the guesses that `kept` made a value of."""
    return {name: Guess(ways, bool(seen)) for name, (seen, *ways) in found.items()}
