"""The marker file of a backup.

Owns: `backup.json`. This module is separate from backup.py, because opening any database checks for the
marker.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ..interface.errors import FormatTooNew
from ..io.disk import DiskFolder
from ..validation.json_fields import parsed

MARK = "backup.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Mark:
    """The content of the marker. `finished` is None while the first backup into a folder is being made."""

    source: str
    finished: str | None

    @classmethod
    def load(cls, folder: DiskFolder) -> Mark | None:
        """Read the marker of a folder. Returns None if the folder has no marker."""
        if not folder.exists(MARK):
            return None
        data = parsed(f"{folder.path}/{MARK}", folder.read(MARK))
        if (version := data.number("format", default=_FORMAT)) > _FORMAT:
            raise FormatTooNew(
                f"{data.path} has format {version}; this version reads formats up to {_FORMAT}. "
                "Upgrade chroma-arrow."
            )
        return cls(data.text("source"), data.maybe_text("finished"))

    def save(self, folder: DiskFolder) -> None:
        state = {"format": _FORMAT, "source": self.source, "finished": self.finished}
        folder.replace(MARK, orjson.dumps(state) + b"\n")


def frozen(folder: DiskFolder) -> str | None:
    """Return why nothing may be written to the folder if it is a backup, or None for other folders."""
    mark = Mark.load(folder)
    if mark is None:
        return None
    if mark.finished is None:
        return f"{folder.path} is a backup that was not finished: make it again"
    return (
        f"{folder.path} is a backup and only read: `chroma restore {folder.path} DIR` makes a database of it"
    )
