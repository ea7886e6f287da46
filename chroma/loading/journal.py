"""How far a load has come: one small file, replaced after every part that is durable in the collection.

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

from ..durable import replace_file
from ..errors import CorruptionError, InvalidArgumentError

FORMAT = 1


@dataclass(slots=True)
class State:
    """Where to go on: with row `row` of file `file`. `begun`: the part that follows may be stored already.

    rejects    bytes of the file of rejected rows that belong to what is done
    conflicts  of the part that was begun, the ids that others had stored
    """

    file: int = 0
    row: int = 0
    rows: int = 0
    added: int = 0
    updated: int = 0
    skipped: int = 0
    rejected: int = 0
    rejects: int = 0
    begun: bool = False
    conflicts: list[str] = field(default_factory=list)
    stamps: list[list[Any]] = field(default_factory=list)


class Journal:
    """`path` None: there is none, since the collection ends with the process."""

    def __init__(self, path: str | None, state: State) -> None:
        self.path = path
        self.state = state

    @classmethod
    def open(cls, folder: str | None, identity: dict[str, Any], stamps: list[list[Any]]) -> Journal:
        """The journal of this very load, or a new one.

        identity  what makes it the same load
        stamps    what the files are like. Raises InvalidArgumentError if they were other files before
        """
        if folder is None:
            return cls(None, State(stamps=stamps))
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]
        path = os.path.join(folder, f"{digest}.json")
        try:
            with open(path, "rb") as file:
                told = json.load(file)
            if told.pop("format") != FORMAT:
                raise InvalidArgumentError(
                    f"{path} was written by another version of this package: finish the load with that one, "
                    "or pass restart=True"
                )
            state = State(**told)
        except FileNotFoundError:
            return cls(path, State(stamps=stamps))
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InvalidArgumentError):
                raise
            raise CorruptionError(
                f"{path} is not the journal of a load ({error!r}): pass restart=True to begin anew", path
            ) from error
        if state.stamps != stamps:
            raise InvalidArgumentError(
                f"the files have changed since an earlier run, which came to row {state.row} of file "
                f"{state.file + 1}: put them back, or pass restart=True to begin anew"
            )
        return cls(path, state)

    def write(self) -> None:
        """Note the state. Durable on return."""
        if self.path is None:
            return
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        replace_file(self.path, json.dumps({"format": FORMAT} | asdict(self.state)).encode())

    def finish(self) -> None:
        """Forget it: the load is at its end."""
        if self.path is not None:
            with suppress(FileNotFoundError):
                os.remove(self.path)
            with suppress(OSError):  # not empty: other loads
                os.rmdir(os.path.dirname(self.path))

    def restart(self) -> None:
        """Forget an earlier run."""
        self.state = State(stamps=self.state.stamps)
