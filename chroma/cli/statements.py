"""Divides a text into SQL statements."""

from __future__ import annotations

import re
from collections.abc import Iterator

# What may contain a semicolon that ends nothing: texts, names, comments, texts between $tag$.
_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]*(?:\n|\Z) | /\*.*?\*/ | \$(\w*)\$.*?\$\1\$ | ; | .""",
    re.DOTALL | re.VERBOSE,
)
_COMMENTS = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)


def divided(text: str) -> Iterator[str]:
    """Return the statements of a text, without their semicolons. Comments without a statement are skipped."""
    start = 0
    for token in _TOKEN.finditer(text):
        if token[0] == ";":
            yield from _one(text[start : token.start()])
            start = token.end()
    yield from _one(text[start:])


def is_complete(text: str) -> bool:
    """Whether a typed text ends with a complete statement and its semicolon."""
    last = None
    for token in _TOKEN.finditer(text):
        if not (token[0].isspace() or token[0].startswith(("--", "/*"))):
            last = token[0]
    return last == ";"


def _one(text: str) -> Iterator[str]:
    if _COMMENTS.fullmatch(text) is None:
        yield text.strip()
