"""How far a load has come: one small file, replaced before every part that is written.

A load is found again by what it does: the same source into the same collection in the same way. The file
is removed when the load has come to its end.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import CorruptionError, InvalidArgumentError
from ..internal.atomic_file import replace_file, written_to
from .file_lock import Lock

FORMAT = 1
_GO_ON = "it is the journal of the load, and what is done is stored: the same call goes on from there"


@dataclass(slots=True)
class State:
    """Where to go on: with row `row` of file number `file`. What is before is stored.

    rows       of the source that are done; the other counts are as in the report
    rejects    bytes of the file of rejected rows that belong to what is done, and where that file is
    begun      rows of the next part, if that may be stored already, wholly or in part; else 0
    conflicts  of that part, the ids that were stored before it. None: all
    """

    file: int = 0
    row: int = 0
    rows: int = 0
    added: int = 0
    updated: int = 0
    skipped: int = 0
    rejected: int = 0
    rejects: int = 0
    rejects_path: str | None = None
    begun: int = 0
    conflicts: list[str] | None = field(default_factory=list)
    stamps: list[list[Any]] = field(default_factory=list)


class Journal:
    """`path` None: there is none, since the collection ends with the process."""

    def __init__(self, path: str | None, lock: Lock | None, state: State) -> None:
        self.path, self._lock = path, lock
        self.state = state
        self._changed = False

    @classmethod
    def open(
        cls, folder: str | None, identity: dict[str, Any], stamps: list[list[Any]], restart: bool
    ) -> Journal:
        """The journal of this very load, or a new one.

        identity  what makes it the same load
        stamps    what the files are like. Raises InvalidArgumentError if those that are done, or begun, were
                  other ones
        restart   forget an earlier run
        Raises InvalidArgumentError if the load runs at this moment.
        """
        if folder is None:
            return cls(None, None, State(stamps=stamps))
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
        path = os.path.join(folder, f"{digest}.json")
        try:
            lock = Lock(
                os.path.join(folder, f"{digest}.lock"),
                "this very load is running already, here or in another process: wait for its end",
            )
        except OSError as error:
            raise InvalidArgumentError(
                f"the folder {folder}, for the journal of the load, cannot be written: {error.strerror}"
            ) from error
        try:
            state = None if restart else _read(path)
            if state is None:
                return cls(path, lock, State(stamps=stamps))
            done = state.file + 1
            if state.stamps[:done] != stamps[:done]:
                raise InvalidArgumentError(
                    f"the files have changed since an earlier run, which came to row {state.row:,} of file "
                    f"{done} of {len(state.stamps)}: put them back, or pass restart=True to begin anew"
                )
            state.stamps = stamps
            return cls(path, lock, state)
        except BaseException:
            lock.close()
            raise

    def changed(self) -> None:
        """The state is another one, to be noted at the latest before the next part is written."""
        self._changed = True

    def write(self) -> None:
        """Note the state, if it changed. Durable on return."""
        if self.path is not None and self._changed:
            with written_to(self.path, _GO_ON):
                replace_file(self.path, json.dumps({"format": FORMAT} | asdict(self.state)).encode())
        self._changed = False

    def finish(self) -> None:
        """Forget it: the load is at its end."""
        self._changed = False
        if self.path is not None:
            with written_to(self.path, _GO_ON), suppress(FileNotFoundError):
                os.remove(self.path)

    def close(self) -> None:
        """Note the state, and let others go on with it. May be called again."""
        try:
            self.write()
        finally:
            if self._lock is not None:
                self._lock.close()


def _read(path: str) -> State | None:
    try:
        with open(path, "rb") as file:
            told = json.load(file)
        version = told.pop("format")
        if version == FORMAT:
            return State(**told)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CorruptionError(
            f"the journal of the load, {path}, cannot be read: {error.strerror}", path
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptionError(
            f"{path} is not the journal of a load ({error!r}): pass restart=True to begin anew", path
        ) from error
    raise InvalidArgumentError(
        f"{path} was written by another version of this package: finish the load with that one, or pass "
        "restart=True to begin anew"
    )
