"""The response header in which a server sends its warnings of unmatched conditions.

A header leaves the bodies as clients of other makers expect them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ..storage.interface.short_repr import shown

NAME = "chroma-arrow-warnings"
_MOST, _MOST_CHARACTERS = 8, 300
_ROOM = 3000  # bytes of all messages: proxies and clients refuse answers whose headers have a few kilobytes


def encode(messages: Sequence[str]) -> str:
    """Return the messages as a JSON list in ASCII. Many or long messages are cut.

    A character may take twelve bytes in ASCII, so the bytes count, too.
    """
    distinct = list(dict.fromkeys(messages))
    sent: list[str] = []
    room = _ROOM
    for text in distinct[:_MOST]:
        message = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
        room -= len(json.dumps(message))
        if room < 0 and sent:
            break
        sent.append(message)
    if len(distinct) > len(sent):
        sent.append(f"{len(distinct) - len(sent)} more conditions of where match no record")
    return json.dumps(sent)


def decode(header: str) -> list[str]:
    """Return the messages. A header that is not a list of texts counts as one message."""
    try:
        found = json.loads(header)
    except ValueError:
        found = None
    if isinstance(found, list) and all(isinstance(text, str) for text in found):
        return found
    return [f"the server sent a warning that cannot be read: {shown(header)}"]
