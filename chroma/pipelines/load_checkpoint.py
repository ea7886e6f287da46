"""The journal, a small file that records the progress of a load. It is replaced before each part is written.

A load is identified by its source, its collection and its options. The file is removed when the load is
complete.
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
from ..storage.interface.short_repr import shown
from .file_lock import Lock

FORMAT = 2
_GO_ON = "it is the journal of the load, and what is done is stored: the same call goes on from there"


@dataclass(slots=True)
class State:
    """The position at which a load resumes: row `row` of file number `file`. All earlier rows are stored.

    rows       processed rows of the source; the other counts are as in the report
    rejects    bytes of the file of rejected rows that belong to processed rows; `rejects_path` is its path
    begun      number of rows of the next part if it may be stored already, fully or partly; else 0
    conflicts  the ids of the next part that were stored before it. None: all
    stamps     the state of each file
    reading    how the rows are read, by the argument that says it
    columns    what is known of the columns of CSV files, with their types. None: nothing yet
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
    reading: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, Any] | None = None


class Journal:
    """The journal of a load. `path` None: there is no file, because the collection ends with the process."""

    def __init__(self, path: str | None, lock: Lock | None, state: State) -> None:
        self.path, self._lock = path, lock
        self.state = state
        self.same_files = True  # whether all files are as in the run that is resumed
        self._changed = False

    @classmethod
    def open(
        cls,
        folder: str | None,
        identity: dict[str, Any],
        *,
        stamps: list[list[Any]],
        reading: dict[str, Any],
        restart: bool,
    ) -> Journal:
        """Open the journal of an earlier run of the same load, or create a new journal.

        identity  the values that identify the load
        stamps    the state of each file. Raises InvalidArgumentError if a processed or begun file has changed
        reading   how rows are read. Raises InvalidArgumentError if stored rows were read otherwise
        restart   discard an earlier run
        Raises InvalidArgumentError if the load is already running.
        """
        new = State(stamps=stamps, reading=reading)
        if folder is None:
            return cls(None, None, new)
        path = _path(folder, identity)
        try:
            lock = _locked(path)
        except OSError as error:
            raise InvalidArgumentError(
                f"the folder {folder}, for the journal of the load, cannot be written: {error.strerror}"
            ) from error
        try:
            state = None if restart else _read(path)
            if state is None or not (state.rows or state.begun):
                return cls(path, lock, new)
            done = state.file + 1
            if state.stamps[:done] != stamps[:done]:
                raise InvalidArgumentError(
                    f"the files have changed since an earlier run, which came to row {state.row:,} of file "
                    f"{done} of {len(state.stamps)}: put them back, or pass restart=True to begin anew"
                )
            for name in dict.fromkeys([*state.reading, *reading]):
                before, now = state.reading.get(name), reading.get(name)
                if before != now:
                    raise _read_otherwise(state, f"{name} was {shown(before)}, and is {shown(now)}")
            journal = cls(path, lock, state)
            journal.same_files, state.stamps = state.stamps == stamps, stamps
            return journal
        except BaseException:
            lock.close()
            raise

    @classmethod
    def discard(cls, folder: str | None, identity: dict[str, Any]) -> None:
        """Remove the journal of an earlier run, unless the load is running."""
        path = None if folder is None else _path(folder, identity)
        if path is None or not os.path.exists(path):
            return
        try:
            lock = _locked(path)
        except InvalidArgumentError:
            return  # the journal is in use
        try:
            with written_to(path, _GO_ON):
                os.remove(path)
        finally:
            lock.close()

    def check_types(self, types: dict[str, str]) -> None:
        """Raise InvalidArgumentError for a column whose type was another in an earlier run."""
        for name, before in (self.state.columns or {}).get("types", {}).items():
            if (now := types.get(name, before)) != before:
                raise _read_otherwise(self.state, f"the column {shown(name)} was {before}, and is {now}")

    def changed(self) -> None:
        """Mark the state as changed. The journal must be written before the next part is."""
        self._changed = True

    def write(self) -> None:
        """Write the state durably if it has changed."""
        if self.path is not None and self._changed:
            with written_to(self.path, _GO_ON):
                replace_file(self.path, json.dumps({"format": FORMAT} | asdict(self.state)).encode())
        self._changed = False

    def finish(self) -> None:
        """Delete the journal at the end of the load."""
        self._changed = False
        if self.path is not None:
            with written_to(self.path, _GO_ON), suppress(FileNotFoundError):
                os.remove(self.path)

    def close(self) -> None:
        """Write the state and release the lock. May be called more than once."""
        try:
            self.write()
        finally:
            if self._lock is not None:
                self._lock.close()


def _path(folder: str, identity: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
    return os.path.join(folder, f"{digest}.json")


def _locked(path: str) -> Lock:
    return Lock(
        f"{path.removesuffix('.json')}.lock",
        "this very load is running already, here or in another process: wait for its end",
    )


def _read_otherwise(state: State, how: str) -> InvalidArgumentError:
    """Return the error for a load that would store rows of two readings."""
    return InvalidArgumentError(
        f"an earlier run of this load came to row {state.row:,} of file {state.file + 1} and read the rows "
        f"otherwise: {how}. Pass restart=True to read all of them again, and on_conflict='upsert' to replace "
        "what is stored; or call as before to go on"
    )


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
