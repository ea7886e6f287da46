"""Compile the tree of a regular expression to a program that the native scan runs.

Owns: the form of programs. A program is a nondeterministic automaton over the bytes of UTF-8, as an array of
int32 with four numbers per instruction:

    BYTE low high next      go on at `next` if the next byte is in the range
    SPLIT first second 0    go on at both
    ASSERT position next 0     go on at `next` if the position in the text is of this kind, see POSITIONS
    MATCH 0 0 0             the text matches
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .regex_syntax import Assertion, Chars, Choice, Position, Ranges, Repeat, Sequence, Tree

BYTE, SPLIT, ASSERT, MATCH = range(4)
POSITIONS: tuple[Position, ...] = (
    "begin",
    "end",
    "line begin",
    "line end",
    "word",
    "no word",
)  # as in _text.c
MOST = 2000  # instructions; longer programs would take milliseconds to compile


_MIRRORED: dict[Position, Position] = {
    "begin": "end",
    "end": "begin",
    "line begin": "line end",
    "line end": "line begin",
}


class Program(NamedTuple):
    """A program for the native scan.

    code       int32 (n, 4)
    start      the instruction at which it begins
    backwards  whether it reads texts from their ends, which takes few bytes if a match ends there
    """

    code: npt.NDArray[np.int32]
    start: int
    backwards: bool


class _TooLong(Exception):
    """The program has more than MOST instructions."""


def compiled(tree: Tree) -> Program | None:
    """Return the program of a tree; None if it would be too long."""
    backwards = _at_end(tree)
    writer = _Writer(backwards)
    try:
        start = writer.before(tree, writer.add(MATCH))
    except _TooLong:
        return None
    return Program(np.array(writer.code, np.int32).reshape(-1, 4), start, backwards)


def _at_end(tree: Tree) -> bool:
    """Whether matches end at the end of a text, and may begin anywhere."""
    if not isinstance(tree, Sequence) or not tree.parts:
        return False
    return tree.parts[-1] == Assertion("end") and tree.parts[0] != Assertion("begin")


class _Writer:
    """Writes a program from its end, so that each instruction knows the one behind it."""

    def __init__(self, backwards: bool) -> None:
        self._backwards = backwards
        self.code: list[tuple[int, int, int, int]] = []
        self._known: dict[tuple[int, int, int], int] = {}

    def add(self, kind: int, first: int = 0, second: int = 0, third: int = 0) -> int:
        if len(self.code) == MOST:
            raise _TooLong
        self.code.append((kind, first, second, third))
        return len(self.code) - 1

    def before(self, tree: Tree, then: int) -> int:
        """Write what matches the tree and goes on at `then`. Returns where it begins."""
        if isinstance(tree, Chars):
            return self._chars(tree.ranges, then)
        if isinstance(tree, Sequence):
            for part in tree.parts if self._backwards else reversed(tree.parts):
                then = self.before(part, then)
            return then
        if isinstance(tree, Choice):
            return self._any([self.before(part, then) for part in tree.parts])
        if isinstance(tree, Assertion):
            position = _MIRRORED.get(tree.position, tree.position) if self._backwards else tree.position
            return self.add(ASSERT, POSITIONS.index(position), then)
        return self._repeated(tree, then)

    def _repeated(self, tree: Repeat, then: int) -> int:
        if tree.most is None:
            loop = self.add(SPLIT)
            self.code[loop] = SPLIT, self.before(tree.part, loop), then, 0
            then = loop
        else:
            end = then
            for _ in range(tree.most - tree.least):
                then = self.add(SPLIT, self.before(tree.part, then), end)
        for _ in range(tree.least):
            then = self.before(tree.part, then)
        return then

    def _chars(self, ranges: Ranges, then: int) -> int:
        begins = []
        for spans in _in_bytes(ranges):
            at = then
            for low, high in spans if self._backwards else reversed(spans):
                at = self._byte(low, high, at)
            begins.append(at)
        return self._any(list(dict.fromkeys(begins)))

    def _byte(self, low: int, high: int, then: int) -> int:
        """Add an instruction, unless there is one that is the same."""
        at = self._known.get((low, high, then))
        if at is None:
            at = self._known[low, high, then] = self.add(BYTE, low, high, then)
        return at

    def _any(self, begins: list[int]) -> int:
        """Go on at all of these places."""
        if not begins:  # no character: a range that is empty
            return self._byte(1, 0, 0)
        at = begins[-1]
        for begin in reversed(begins[:-1]):
            at = self.add(SPLIT, begin, at)
        return at


@lru_cache(256)
def _in_bytes(ranges: Ranges) -> list[tuple[tuple[int, int], ...]]:
    """Return the sequences of ranges of bytes that are the characters in UTF-8."""
    out: list[tuple[tuple[int, int], ...]] = []
    for low, high in ranges:
        for first, last in ((0, 0x7F), (0x80, 0x7FF), (0x800, 0xFFFF), (0x10000, 0x10FFFF)):
            if max(low, first) <= min(high, last):
                _divide(max(low, first), min(high, last), out)
    return out


def _divide(low: int, high: int, out: list[tuple[tuple[int, int], ...]]) -> None:
    """Divide a range of characters of one length in bytes until each part is a product of ranges of bytes."""
    for bits in (6, 12, 18):
        mask = (1 << bits) - 1
        if low > 0x7F and low & ~mask != high & ~mask:
            if low & mask:
                _divide(low, low | mask, out)
                _divide((low | mask) + 1, high, out)
                return
            if high & mask != mask:
                _divide(low, (high & ~mask) - 1, out)
                _divide(high & ~mask, high, out)
                return
    out.append(tuple(zip(_utf8(low), _utf8(high))))


def _utf8(point: int) -> bytes:
    return chr(point).encode("utf-8", "surrogatepass")
