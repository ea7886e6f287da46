"""Decides how a load reads the columns of its CSV files, before it reads their rows.

Owns the first pass. It checks the columns that the caller names. For the others, it finds the types by
looking at all cells of all files. The types are those of the load, so that a column means the same in each
file.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ..errors import InvalidArgumentError
from ..storage.interface.nearest_names import nearest
from ..storage.interface.short_repr import shown
from ..tables.column_names import check_near_misses, key_of, listed, mixed_key
from ..tables.to_records import Mapped
from . import csv_reader, csv_records, file_readers, text_files, text_types
from .file_discovery import File
from .file_readers import Reading
from .text_types import Guess

_LONG = 60  # characters of a name that is shown whole
_SEPARATORS = (";", "\t", "|", ",")


@dataclass(slots=True)
class Columns:
    """The columns of CSV files: the names of all, and the types that were found for some."""

    names: list[str] = field(default_factory=list)
    guesses: dict[str, Guess] = field(default_factory=dict)

    @classmethod
    def restored(cls, kept: Mapping[str, Any]) -> Columns:
        """Return the columns that `kept` made a value of."""
        return cls([*kept["names"]], text_types.restored(kept["guesses"]))

    def kept(self) -> dict[str, Any]:
        """Return the columns as values for JSON."""
        return {"names": self.names, "guesses": text_types.kept(self.guesses)}

    def has_values(self, name: str) -> bool:
        """Whether a column had a value, or its type was given."""
        return name not in self.guesses or self.guesses[name].seen

    def types(self, given: Mapping[str, pa.DataType]) -> dict[str, pa.DataType]:
        """Return the types of all columns."""
        guessed = {name: guess.type for name, guess in self.guesses.items()}
        return {name: {**guessed, **given}.get(name, pa.string()) for name in self.names}

    def look(
        self,
        files: Sequence[File],
        reading: Reading,
        selected: Container[str] | None,
        required: Sequence[str],
    ) -> None:
        """Read files. `required`: the columns that each must have; `selected`: those that are used.

        Raises InvalidArgumentError for a file that is not CSV or lacks a column.
        """
        for file in files:
            try:
                with file.system.open_input_file(file.path) as source:
                    self._look(source, file, reading, selected, required)
            except file_readers.BROKEN as error:
                raise file_readers.unreadable(file, error) from error

    def _look(
        self,
        source: Any,
        file: File,
        reading: Reading,
        selected: Container[str] | None,
        required: Sequence[str],
    ) -> None:
        dialect = reading.dialect(file)
        stream = text_files.unpacked(source)
        pieces = text_files.pieces(stream, reading.encoding)
        names, begin = csv_records.header(pieces, dialect)
        for name in required:
            if not _has([*names, *file.partition], name):
                if selected is None:  # a name that is nearly right has a better message
                    check_near_misses([each for each in names if each not in required], {})
                raise _missing(file, name, names)
        if required and selected is None and "" in names:
            raise InvalidArgumentError(
                f"{file.path}: column {names.index('')} has no name, as an index that pandas writes: write "
                "the file with index=False, or name the metadata with columns={'metadata': [...]}"
            )
        self.names += [name for name in dict.fromkeys(names) if name not in self.names]
        for name in names:
            if name not in reading.types and (selected is None or name in selected):
                self.guesses.setdefault(name, Guess())
        csv_reader.look(names, csv_records.blocks(begin, pieces, dialect), dialect, self.guesses)


def required(mapped: Mapped) -> list[str]:
    """Return the columns that a file must have if no transformation makes them."""
    parts = {"id": "id", **mapped.parts}
    return [*parts.values(), *(mapped.metadata or ())]


def check_types(types: Collection[str], names: Sequence[str]) -> None:
    """Raise InvalidArgumentError for a type of a column that no file has."""
    for name in types:
        if name not in names:
            raise InvalidArgumentError(
                f"types has the column {shown(name)}, which no CSV file has: their columns are "
                f"{listed(names)}{nearest(name, names)}"
            )


def _has(names: Sequence[str], name: str) -> bool:
    return name in names or any(mixed_key(each) == key_of(name) for each in names)


def _missing(file: File, name: str, names: Sequence[str]) -> InvalidArgumentError:
    """Return the error for a column that is not there."""
    remedy = nearest(name, names)
    if name == "id":
        remedy += "; say which one it is with columns={'id': ...}"
    other = next((each for each in _SEPARATORS if each in names[0]), None) if len(names) == 1 else None
    if other is not None:
        remedy = f"; if its cells are separated by {other!r}, pass separator={other!r}"
    texts = [name if name.isprintable() and len(name) < _LONG else shown(name) for name in names]
    return InvalidArgumentError(
        f"{file.path}: there is no column {shown(name)}: its first line has {listed(texts)}{remedy}"
    )
