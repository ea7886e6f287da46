"""Find the texts that a document must contain so that a regular expression can match it.

Owns: what a pattern requires. The answer only decides which documents the pattern is tried on. A pattern that
has no tree (`regex_syntax`) requires nothing.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from .regex_syntax import Chars, Choice, Repeat, Sequence, Tree


class AllOf(NamedTuple):
    """Each of these is required. Without any, nothing is."""

    parts: tuple[Required, ...]
    each: bool = True


class OneOf(NamedTuple):
    """At least one of these is required."""

    parts: tuple[Required, ...]
    each: bool = False


Required: TypeAlias = "str | AllOf | OneOf"
NOTHING = AllOf(())
LEAST = 3  # bytes of a text that is worth looking for


class _Run:
    """Collects characters that follow each other directly."""

    def __init__(self) -> None:
        self.parts: list[Required] = []
        self._characters: list[str] = []

    def add(self, character: str) -> None:
        self._characters.append(character)

    def end(self) -> None:
        """The next character does not follow the last one directly."""
        text = "".join(self._characters)
        if len(text.encode("utf-8", "surrogatepass")) >= LEAST:
            self.parts.append(text)
        self._characters = []

    def needs(self, tree: Tree) -> None:
        """Something else matches here."""
        self.end()
        needed = required(tree)
        if needed != NOTHING:
            self.parts.append(needed)


def required(tree: Tree | None) -> Required:
    """Return the texts that a document must contain so that a pattern can match it."""
    if tree is None:
        return NOTHING
    if isinstance(tree, Choice):
        branches = tuple(map(required, tree.parts))
        return NOTHING if NOTHING in branches else OneOf(branches)
    found = _Run()
    for part in tree.parts if isinstance(tree, Sequence) else (tree,):
        repeated = isinstance(part, Repeat)
        one = part.part if isinstance(part, Repeat) else part
        character = _character(one)
        if isinstance(part, Repeat) and part.least == 0:
            found.end()
        elif character is not None:
            found.add(character)
            if repeated:
                found.end()
                found.add(character)
        elif isinstance(one, (Choice, Repeat, Sequence)):
            found.needs(one)
        else:
            found.end()
    found.end()
    return found.parts[0] if len(found.parts) == 1 else AllOf(tuple(found.parts))


def _character(tree: Tree) -> str | None:
    """Return the only character that matches, if there is just one."""
    if isinstance(tree, Chars) and len(tree.ranges) == 1 and tree.ranges[0][0] == tree.ranges[0][1]:
        return chr(tree.ranges[0][0])
    return None


def literal(tree: Tree) -> str | None:
    """Return the text that just the documents that match contain; None if there is no such text."""
    parts = tree.parts if isinstance(tree, Sequence) else (tree,)
    characters = [character for part in parts if (character := _character(part)) is not None]
    return "".join(characters) if characters and len(characters) == len(parts) else None
