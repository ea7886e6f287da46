"""Find the texts that a document must contain so that a regular expression can match it.

Owns: what a pattern in the RE2 dialect requires. The answer only decides which documents the pattern is tried
on; whether it matches is for RE2 alone. So this module recognizes only the usual syntax. Of case-insensitive
patterns, and of escapes and groups that are not listed here, it requires nothing. The parser of Python's `re`
is not used, because it is private and reads another dialect.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypeAlias


class AllOf(NamedTuple):
    """Each of these is required. Without any, nothing is."""

    parts: tuple[Required, ...]

    @property
    def each(self) -> bool:
        return True


class OneOf(NamedTuple):
    """At least one of these is required."""

    parts: tuple[Required, ...]

    @property
    def each(self) -> bool:
        return False


Required: TypeAlias = "str | AllOf | OneOf"
NOTHING = AllOf(())
LEAST = 3  # bytes of a text that is worth looking for
_SPECIAL = frozenset("\\.^$|?*+()[]{}")
_MOST_DEPTH = 50
_REPEAT = re.compile(r"\{(0|[1-9]\d{0,3})(,(0|[1-9]\d{0,3})?)?\}", re.ASCII)  # {05} is five characters
_GROUP = re.compile(r"\?(?:P?<\w+>|[smU-]*:)")
_FLAGS = re.compile(r"\?[smU-]+\)")
_CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_CLASSES = frozenset("dDsSwWbBAz")  # of one character, or of none


class _Unknown(Exception):
    """The pattern has syntax that this module does not read."""


def is_literal(pattern: str) -> bool:
    """Whether a pattern matches exactly the documents that contain it as a text."""
    return _SPECIAL.isdisjoint(pattern)


def required(pattern: str) -> Required:
    """Return the texts that a document must contain so that a valid pattern can match it."""
    reader = _Reader(pattern)
    try:
        found = reader.alternatives(0)
    except _Unknown:
        return NOTHING
    return found if reader.at == len(pattern) else NOTHING


class _Sequence:
    """Collects what a sequence requires: runs of characters that follow each other, and groups."""

    def __init__(self) -> None:
        self.parts: list[Required] = []
        self._run: list[str] = []

    def add(self, character: str) -> None:
        self._run.append(character)

    def end_run(self) -> None:
        """The next character does not follow the last one directly."""
        text = "".join(self._run)
        if len(text.encode("utf-8", "surrogatepass")) >= LEAST:
            self.parts.append(text)
        self._run = []

    def drop_last(self) -> None:
        """Note that the last character is optional."""
        self._run.pop()
        self.end_run()

    def repeat_last(self) -> None:
        """Note that the last character may be repeated."""
        last = self._run[-1]
        self.end_run()
        self._run = [last]


class _Reader:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.at = 0

    def _peek(self) -> str:
        return self._pattern[self.at : self.at + 1]

    def alternatives(self, depth: int) -> Required:
        """Read up to the end of the pattern or of the group."""
        if depth > _MOST_DEPTH:
            raise _Unknown
        branches = [self._sequence(depth)]
        while self._peek() == "|":
            self.at += 1
            branches.append(self._sequence(depth))
        if len(branches) == 1:
            return branches[0]
        return NOTHING if NOTHING in branches else OneOf(tuple(branches))

    def _sequence(self, depth: int) -> Required:
        found = _Sequence()
        while (character := self._peek()) not in ("", "|", ")"):
            self.at += 1
            if character == "(":
                found.end_run()
                group = self._group(depth)
                if self._repeats() != 0 and group != NOTHING:
                    found.parts.append(group)
                continue
            literal = self._literal(character)
            if literal is None:
                found.end_run()
                self._repeats()
                continue
            found.add(literal)
            least = self._repeats()
            if least == 0:
                found.drop_last()
            elif least is not None:
                found.repeat_last()
        found.end_run()
        return found.parts[0] if len(found.parts) == 1 else AllOf(tuple(found.parts))

    def _literal(self, character: str) -> str | None:
        """Return the character that matches, or None for a class of characters or an assertion."""
        if character == "[":
            self._skip_class()
            return None
        if character in ".^$":
            return None
        if character != "\\":
            return character
        escaped = self._peek()
        self.at += 1
        if escaped in _CLASSES:
            return None
        if escaped in _CONTROLS:
            return _CONTROLS[escaped]
        if escaped.isascii() and not escaped.isalnum() and escaped not in ("_", ""):
            return escaped
        raise _Unknown

    def _skip_class(self) -> None:
        if self._peek() == "^":
            self.at += 1
        first = True
        while first or self._peek() != "]":
            first = False
            if not self._peek():
                raise _Unknown
            named = self._pattern.find(":]", self.at) if self._pattern.startswith("[:", self.at) else -1
            if named >= 0:
                self.at = named + 2
            else:
                self.at += 2 if self._peek() == "\\" else 1
        self.at += 1

    def _group(self, depth: int) -> Required:
        """Read a group, from behind its parenthesis to behind its end."""
        if self.at == 1 and (flags := _FLAGS.match(self._pattern, self.at)):
            self.at = flags.end()
            return NOTHING  # elsewhere, a quantifier behind it would be that of the character before it
        if self._peek() == "?":
            begins = _GROUP.match(self._pattern, self.at)
            if begins is None:  # for example (?i)
                raise _Unknown
            self.at = begins.end()
        found = self.alternatives(depth + 1)
        if self._peek() != ")":
            raise _Unknown
        self.at += 1
        return found

    def _repeats(self) -> int | None:
        """Read a quantifier, if there is one. Returns the least number of times, or None."""
        character, least = self._peek(), None
        if character and character in "*?":
            least, self.at = 0, self.at + 1
        elif character == "+":
            least, self.at = 1, self.at + 1
        elif braces := _REPEAT.match(self._pattern, self.at):
            least, self.at = int(braces[1]), braces.end()
        if least is None:
            return None
        if self._peek() == "?":  # lazy
            self.at += 1
        if self._peek() in ("*", "+", "?") or _REPEAT.match(self._pattern, self.at):
            raise _Unknown
        return least
