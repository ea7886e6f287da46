"""Short descriptions of values for error messages."""

from __future__ import annotations

_MOST_ITEMS, _FIRST_ITEMS, _ITEM_WIDTH = 8, 3, 12


def printable(text: str) -> str:
    """Return a text that can be written to any stream: lone surrogates are escaped."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def shown(value: object, width: int = 60) -> str:
    """Return a short repr. Never builds the whole repr of a long text or list."""
    if isinstance(value, (str, bytes)) and len(value) > width:
        return f"{value[:width]!r}… ({len(value)} long)"
    if isinstance(value, (list, tuple)) and len(value) > _MOST_ITEMS:
        return f"{[shown(item, _ITEM_WIDTH) for item in value[:_FIRST_ITEMS]]}… ({len(value)} long)"
    try:
        text = printable(repr(value))
    except RecursionError:
        return f"a {type(value).__name__} that is nested too deeply to show"
    except Exception as error:  # of a class of the caller
        return f"a {type(value).__name__}, whose repr fails with {type(error).__name__}"
    return text if len(text) <= width else text[:width] + "…"


def no_filter(name: str, value: object) -> str:
    """Return the message about a filter that is not a dictionary.

    name  the argument, "where" or "where_document"
    """
    text = f"Expected {name} to be a dict, got {shown(value)}"
    if isinstance(value, (list, tuple)):
        return f"{text}; join conditions with {{'$and': [...]}} or {{'$or': [...]}}"
    return text
