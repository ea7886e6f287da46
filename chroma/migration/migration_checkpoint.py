"""The journal, a small file that records the progress of a migration. Each step replaces the whole file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import CorruptionError, InvalidArgumentError
from ..internal.atomic_file import replace_file, written_to

NAME = "migration.json"
FORMAT = 1


@dataclass(slots=True)
class Entry:
    """The progress of one collection.

    position  the number of source records that have been processed
    lost      [position, id] of each skipped record
    target    the id of the collection in the target
    """

    tenant: str
    database: str
    name: str
    id: str
    count: int
    target: str | None = None
    position: int = 0
    lost: list[list[Any]] = field(default_factory=list)
    done: bool = False


class Journal:
    """The journal of a migration. `entries` is keyed by the collection's id in the source."""

    def __init__(
        self, path: str, source: str, target: str, fingerprint: Mapping[str, Any], entries: dict[str, Entry]
    ) -> None:
        self.path = path
        self.source = source
        self.target = target
        self.fingerprint = dict(fingerprint)
        self.entries = entries

    @classmethod
    def read(cls, path: str) -> Journal | None:
        """Read a journal. None if the file is missing. Raises CorruptionError if it is not a journal."""
        try:
            with open(path, encoding="utf-8") as file:
                told = json.load(file)
            if told["format"] != FORMAT:
                raise InvalidArgumentError(
                    f"{path} was written by another version of this package: finish the migration "
                    "with that one"
                )
            entries = {id: Entry(**entry) for id, entry in told["collections"].items()}
            return cls(path, told["source"], told["target"], told["fingerprint"], entries)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CorruptionError(f"the journal {path} cannot be read: {error.strerror}", path) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, InvalidArgumentError):
                raise
            raise CorruptionError(
                f"{path} is not the journal of a migration ({error!r}): move it away, and begin with "
                "an empty target",
                path,
            ) from error

    def write(self) -> None:
        """Write the journal durably. A process that is killed leaves either the old or the new content."""
        told = {
            "format": FORMAT,
            "source": self.source,
            "target": self.target,
            "fingerprint": self.fingerprint,
            "collections": {id: asdict(entry) for id, entry in self.entries.items()},
        }
        hint = (
            "it is the journal of the migration, and what is done is stored: the same call goes on from there"
        )
        with written_to(self.path, hint):
            replace_file(self.path, json.dumps(told, ensure_ascii=False, indent=1).encode())
