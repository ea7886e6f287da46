"""The file of rows that could not be stored: one JSON object a line, with file, row, reason, record."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import orjson

from ..columns import shown
from ..errors import InvalidArgumentError
from .parts import Bad


class Rejects:
    """`path` None: the first bad row is an error. No more than `most` are taken."""

    def __init__(self, path: str | None, most: int) -> None:
        self.path, self._most = path, most

    def cut(self, size: int) -> None:
        """Back to the first `size` bytes; what follows belongs to rows that come again."""
        if self.path is None:
            return
        if size:
            if os.path.exists(self.path):
                os.truncate(self.path, min(size, os.path.getsize(self.path)))
        else:
            with open(self.path, "wb"):
                pass  # also tells now that it cannot be written

    def add(self, file: str, bad: Sequence[Bad], before: int) -> int:
        """Write rows down; how many bytes the file has then. `before`: how many were rejected so far.

        Raises InvalidArgumentError for the first row if there is no file, or for one too many.
        """
        if not bad:
            return self._size()
        first = bad[0]
        if self.path is None:
            raise InvalidArgumentError(
                f"row {first.row} of {file} cannot be stored: {first.reason.rstrip('.')}; mend it, or pass "
                "rejects='rejects.jsonl' to go on without such rows"
            )
        lines = [_line(file, entry) for entry in bad]
        with open(self.path, "ab") as out:
            out.writelines(lines)
            out.flush()
            os.fsync(out.fileno())
        if before + len(bad) > self._most:
            raise InvalidArgumentError(
                f"more than {self._most:,} rows cannot be stored, among the last of them row {first.row} of "
                f"{file}: {first.reason.rstrip('.')}; {self.path} has them; mend the source, or raise "
                "max_rejects"
            )
        return self._size()

    def _size(self) -> int:
        return os.path.getsize(self.path) if self.path is not None and os.path.exists(self.path) else 0


def _line(file: str, bad: Bad) -> bytes:
    entry = {"file": file, "row": bad.row, "reason": bad.reason, "record": bad.content}
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(entry, default=_plain, option=options)


def _plain(value: Any) -> Any:
    return shown(value, 200)
