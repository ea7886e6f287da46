"""Read a regular expression in the RE2 dialect as a tree.

Owns: the syntax that the engine reads itself. It is the usual syntax. A pattern with anything else, for
example a class of Unicode or `\\Q`, has no tree, and is left to RE2. The parser of Python's `re` is not used,
because it is private and reads another dialect. Patterns are valid: RE2 has compiled them before.

A tree says which texts match, and nothing else. Groups and whether a quantifier is lazy are not in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

Ranges: TypeAlias = "tuple[tuple[int, int], ...]"
Position: TypeAlias = Literal["begin", "end", "line begin", "line end", "word", "no word"]


class Chars(NamedTuple):
    """One character whose code point is in one of the ranges, which ascend and do not touch."""

    ranges: Ranges


class Sequence(NamedTuple):
    parts: tuple[Tree, ...]
    node: Literal["sequence"] = "sequence"


class Choice(NamedTuple):
    parts: tuple[Tree, ...]
    node: Literal["choice"] = "choice"


class Repeat(NamedTuple):
    """`most` is None if there is no limit."""

    part: Tree
    least: int
    most: int | None


class Assertion(NamedTuple):
    """Matches no character. Holds at certain places."""

    position: Position


Tree: TypeAlias = "Chars | Sequence | Choice | Repeat | Assertion"

LAST = 0x10FFFF
ANY = Chars(((0, LAST),))
KELVIN, LONG_S = 0x212A, 0x17F  # what RE2 takes for a k and an s if the case does not matter
_NOTHING = Sequence(())
_SPECIAL = frozenset("\\.^$|?*+()[]{}")
_MOST_DEPTH = 50
_MOST_CASED = 100  # the most characters beyond ASCII in a range of any case: each takes 0.5 ms to look up
_REPEAT = re.compile(r"\{(0|[1-9]\d{0,3})(,(0|[1-9]\d{0,3})?)?\}", re.ASCII)  # {05} is five characters
_GROUP = re.compile(r"\?(?:P?<\w+>|(?P<on>[imsU]*)(?:-(?P<off>[imsU]+))?:)")
_FLAGS = re.compile(r"\?(?P<on>[imsU]*)(?:-(?P<off>[imsU]+))?\)")
_NAMED = re.compile(r"\[:(\^?)([a-z]+):\]")
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_POSITIONS: dict[str, Position] = {"b": "word", "B": "no word", "A": "begin", "z": "end"}


def _ascii(*spans: str) -> Ranges:
    return tuple((ord(span[0]), ord(span[-1])) for span in spans)


_PERL = {"d": _ascii("09"), "w": _ascii("09", "AZ", "_", "az"), "s": _ascii("\t\n", "\f\r", " ")}
_POSIX = {
    "alnum": _ascii("09", "AZ", "az"),
    "alpha": _ascii("AZ", "az"),
    "ascii": _ascii("\0\x7f"),
    "blank": _ascii("\t", " "),
    "cntrl": _ascii("\0\x1f", "\x7f"),
    "digit": _ascii("09"),
    "graph": _ascii("!~"),
    "lower": _ascii("az"),
    "print": _ascii(" ~"),
    "punct": _ascii("!/", ":@", "[`", "{~"),
    "space": _ascii("\t\r", " "),
    "upper": _ascii("AZ"),
    "word": _PERL["w"],
    "xdigit": _ascii("09", "AF", "af"),
}


class _Unknown(Exception):
    """The pattern has syntax that this module does not read."""


def is_literal(pattern: str) -> bool:
    """Whether a pattern matches exactly the documents that contain it as a text."""
    return _SPECIAL.isdisjoint(pattern)


def parse(pattern: str) -> Tree | None:
    """Return the tree of a valid pattern; None if it has syntax that is left to RE2."""
    reader = _Reader(pattern)
    try:
        found = reader.alternatives(0)
    except _Unknown:
        return None
    return found if reader.at == len(pattern) else None


def searched(tree: Tree) -> Tree:
    """Return a simpler tree that matches somewhere in the same texts.

    What may be missing at either end of a match need not be looked for: ".*a.*" matches where "a" does, and
    so does "(?s)^.*a.*$".
    """
    if isinstance(tree, Choice):
        return Choice(tuple(map(searched, tree.parts)))
    parts: list[Tree] = list(tree.parts) if isinstance(tree, Sequence) else [tree]
    while len(parts) > 1 and parts[0] == Assertion("begin") and parts[1] == Repeat(ANY, 0, None):
        del parts[0]
    while len(parts) > 1 and parts[-1] == Assertion("end") and parts[-2] == Repeat(ANY, 0, None):
        del parts[-1]
    while parts and isinstance(parts[0], Repeat) and parts[0].least == 0:
        del parts[0]
    while parts and isinstance(parts[-1], Repeat) and parts[-1].least == 0:
        del parts[-1]
    for at in {0, len(parts) - 1} if parts else ():
        part = parts[at]
        if isinstance(part, Repeat):
            parts[at] = part.part if part.least == 1 else Repeat(part.part, part.least, part.least)
    return parts[0] if len(parts) == 1 else Sequence(tuple(parts))


def joined(ranges: list[tuple[int, int]]) -> Ranges:
    """Return the same ranges in ascending order, joined where they touch."""
    out: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if out and low <= out[-1][1] + 1:
            out[-1] = out[-1][0], max(out[-1][1], high)
        else:
            out.append((low, high))
    return tuple(out)


def without(ranges: Ranges) -> Ranges:
    """Return all other code points. The ranges are as `joined` returns them."""
    out, begin = [], 0
    for low, high in ranges:
        if low > begin:
            out.append((begin, low - 1))
        begin = high + 1
    if begin <= LAST:
        out.append((begin, LAST))
    return tuple(out)


def any_case(ranges: Ranges) -> Ranges:
    """Add the characters that differ in case only. Raises _Unknown for wide ranges beyond ASCII."""
    out = list(ranges)
    for low, high in ranges:
        if high > 0x7F:
            out.extend(_others(range(max(low, 0x80), high + 1)))
        for first, last, other in ((0x41, 0x5A, 32), (0x61, 0x7A, -32)):
            begin, end = max(low, first), min(high, last)
            if begin <= end:
                out.append((begin + other, end + other))
    found = joined(out)
    for letter, like in (("k", KELVIN), ("s", LONG_S)):
        if any(low <= ord(letter) <= high for low, high in found):
            out.append((like, like))
    return joined(out)


def _others(points: range) -> Iterator[tuple[int, int]]:
    from .regex_case import like  # rarely needed

    if len(points) > _MOST_CASED:
        raise _Unknown
    for point in points:
        yield from ((other, other) for other in like(point))


class _Flags(NamedTuple):
    any_case: bool = False
    all_chars: bool = False  # whether . is any character
    lines: bool = False  # whether ^ and $ are those of lines

    def changed(self, found: re.Match[str]) -> _Flags:
        on, off = found["on"] or "", found["off"] or ""
        values = zip(self, "ism")
        return _Flags(*((value or flag in on) and flag not in off for value, flag in values))


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._flags = _Flags()
        self.at = 0

    def _peek(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def _next(self) -> str:
        character = self._peek()
        if not character:
            raise _Unknown
        self.at += 1
        return character

    def alternatives(self, depth: int) -> Tree:
        """Read up to the end of the pattern or of the group."""
        if depth > _MOST_DEPTH:
            raise _Unknown
        branches = [self._sequence(depth)]
        while self._peek() == "|":
            self.at += 1
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self, depth: int) -> Tree:
        parts: list[Tree] = []
        while (character := self._peek()) not in ("", "|", ")"):
            self.at += 1
            part = self._group(depth) if character == "(" else self._atom(character)
            if part is None:  # flags
                continue
            part = self._repeated(part)
            if isinstance(part, Sequence):
                parts.extend(part.parts)
            else:
                parts.append(part)
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _atom(self, character: str) -> Tree:
        if character == "[":
            return Chars(self._class())
        if character == ".":
            return ANY if self._flags.all_chars else Chars(((0, 9), (11, LAST)))
        if character == "^":
            return Assertion("line begin" if self._flags.lines else "begin")
        if character == "$":
            return Assertion("line end" if self._flags.lines else "end")
        if character in "*+?":
            raise _Unknown
        if character == "\\":
            if (position := _POSITIONS.get(self._peek())) is not None:
                self.at += 1
                return Assertion(position)
            if (perl := self._perl()) is not None:
                return Chars(perl)
            character = self._escaped()
        return Chars(self._cased(((ord(character), ord(character)),)))

    def _cased(self, ranges: Ranges) -> Ranges:
        return any_case(ranges) if self._flags.any_case else ranges

    def _escaped(self) -> str:
        escaped = self._next()
        if escaped in _CONTROLS:
            return _CONTROLS[escaped]
        if escaped.isascii() and not escaped.isalnum() and escaped != "_":
            return escaped
        raise _Unknown

    def _perl(self) -> Ranges | None:
        """Read a class such as d, from behind its backslash, if there is one."""
        name = self._peek()
        found = _PERL.get(name.lower())
        if found is None:
            return None
        self.at += 1
        return self._cased(found) if name.islower() else without(self._cased(found))

    def _class(self) -> Ranges:
        negated = self._peek() == "^"
        self.at += negated
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self._peek() != "]":
            first = False
            ranges.extend(self._member())
        self.at += 1
        found = joined(ranges)
        return without(found) if negated else found

    def _member(self) -> Ranges:
        """Read a character, a range or a class within a class."""
        if named := _NAMED.match(self._pattern, self.at):
            self.at = named.end()
            if named[2] not in _POSIX:
                raise _Unknown
            ranges = self._cased(_POSIX[named[2]])
            return without(ranges) if named[1] else ranges
        if self._pattern.startswith("[:", self.at):
            raise _Unknown
        if self._peek() == "\\":
            self.at += 1
            if (perl := self._perl()) is not None:
                return perl
            self.at -= 1
        low = high = self._end_of_range()
        if self._peek() == "-" and self._pattern[self.at + 1 : self.at + 2] not in ("]", ""):
            self.at += 1
            high = self._end_of_range()
        if low > high:
            raise _Unknown
        return self._cased(((low, high),))

    def _end_of_range(self) -> int:
        character = self._next()
        return ord(self._escaped() if character == "\\" else character)

    def _group(self, depth: int) -> Tree | None:
        """Read a group, from behind its parenthesis to behind its end. Flags are None."""
        if self.at == 1 and (flags := _FLAGS.match(self._pattern, self.at)):
            self.at = flags.end()
            self._flags = self._flags.changed(flags)
            if not flags[0][1:-1] or self._quantified():
                raise _Unknown
            return None  # elsewhere, a quantifier behind it would be that of the character before it
        before = self._flags
        if self._peek() == "?":
            begins = _GROUP.match(self._pattern, self.at)
            if begins is None:
                raise _Unknown
            self.at = begins.end()
            self._flags = before.changed(begins)
        found = self.alternatives(depth + 1)
        if self._peek() != ")":
            raise _Unknown
        self.at += 1
        self._flags = before
        return found

    def _quantified(self) -> bool:
        return self._peek() in ("*", "+", "?") or _REPEAT.match(self._pattern, self.at) is not None

    def _repeated(self, part: Tree) -> Tree:
        """Read a quantifier, if there is one."""
        character = self._peek()
        least, most = 1, None
        if character and character in "*+?":
            self.at += 1
            least, most = int(character == "+"), 1 if character == "?" else None
        elif braces := _REPEAT.match(self._pattern, self.at):
            self.at = braces.end()
            least = int(braces[1])
            most = least if braces[2] is None else _number(braces[3])
        else:
            return part
        if self._peek() == "?":  # lazy
            self.at += 1
        if self._quantified():
            raise _Unknown
        return _NOTHING if most == 0 or part == _NOTHING else Repeat(part, least, most)


def _number(text: Any) -> int | None:
    return int(text) if text else None
