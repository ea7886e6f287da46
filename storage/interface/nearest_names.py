"""Messages about a name that does not exist: which name was meant, and which names there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

_COMPARED = 1000  # names at most that are compared with one that does not exist: some milliseconds
_LISTED = 10


def nearest(name: str, names: Sequence[str]) -> str:
    """Return the end of a message about a name that does not exist: the one that is spelled most alike."""
    from difflib import get_close_matches  # takes longer to import than most calls take

    folded = {each.casefold(): each for each in reversed(names)}
    found = get_close_matches(name.casefold(), folded, n=1)
    return f"; the nearest is {folded[found[0]]!r}" if found else ""


def instead(name: str, names: Iterable[str], kind: str) -> str:
    """Like `nearest`. If no name is similar, list all names.

    kind  a plural noun for the named things
    """
    compared = list(islice(names, _COMPARED))
    found = nearest(name, compared)
    if found:
        return found
    if not compared:
        return f"; there are no {kind}"
    shown = ", ".join(f"{each[:60]!r}" for each in compared[:_LISTED])
    return f"; the {kind} are {shown}{', …' if len(compared) > _LISTED else ''}"
