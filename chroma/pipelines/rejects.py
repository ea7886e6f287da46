"""Writes the file of rejected rows: one JSON object per line, with file, row, reason and record."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import orjson

from ..errors import InvalidArgumentError
from ..internal.atomic_file import written_to
from ..storage.interface.short_repr import shown
from .chunks import Bad


class Rejects:
    """The file of rejected rows. It holds at most `most` rows. `path` None: the first bad row is an error."""

    def __init__(self, path: str | None, most: int) -> None:
        self.path, self._most = path, most
        self.size = 0  # bytes

    @property
    def enough(self) -> int:
        """The number of bad rows in one part that is an error in any case."""
        return 1 if self.path is None else self._most + 1

    def begin(self, size: int) -> None:
        """Truncate the file to `size` bytes. The rest belongs to rows that will be read again."""
        if self.path is None:
            return
        try:
            with open(self.path, "ab") as out:  # fails early if the file cannot be written
                self.size = min(size, os.path.getsize(self.path))
                out.truncate(self.size)
        except OSError as error:
            raise InvalidArgumentError(
                f"the file for rejected rows, {self.path}, cannot be written: {error.strerror}; name another"
            ) from None

    def add(self, file: str, bad: Sequence[Bad], before: int) -> None:
        """Write bad rows to the file. `before`: the number rejected so far.

        Raises InvalidArgumentError for the first row if there is no file, and if there are too many rows.
        """
        if not bad:
            return
        first = bad[0]
        if self.path is None:
            raise InvalidArgumentError(
                f"row {first.row} of {file} cannot be stored: {first.reason.rstrip('.')}; mend it, or pass "
                "rejects='rejects.jsonl' to go on without such rows"
            )
        hint = "it is the file for rejected rows; what is done is stored: the same call goes on from there"
        with written_to(self.path, hint), open(self.path, "ab") as out:
            out.writelines(_line(file, entry) for entry in bad)
            out.flush()
            os.fsync(out.fileno())
            self.size = out.tell()
        if before + len(bad) > self._most:
            raise InvalidArgumentError(
                f"more than {self._most:,} rows cannot be stored, among the last of them row {first.row} of "
                f"{file}: {first.reason.rstrip('.')}; {self.path} has them; mend the source, or raise "
                "max_rejects"
            )


def _line(file: str, bad: Bad) -> bytes:
    entry = {"file": file, "row": bad.row, "reason": bad.reason, "record": bad.content}
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    try:
        return orjson.dumps(entry, default=_plain, option=options)
    except TypeError:  # the record has integers beyond 64 bits
        return orjson.dumps(entry | {"record": repr(bad.content)}, option=options)


def _plain(value: Any) -> Any:
    return shown(value, 200)
