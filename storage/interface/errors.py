"""The errors that the engine raises.

    StorageError
    ├── InvalidArgument      the caller's input cannot be used (also a ValueError)
    │   ├── InvalidType      ... because it has the wrong type (also a TypeError)
    │   ├── WrongDimension   ... because its vectors have another length than those of the collection
    │   └── UnmatchedKey     ... because no record can match a condition of a filter
    ├── NotFound             tenant, database or collection does not exist
    ├── AlreadyExists        a name is taken
    ├── Closed               the engine or collection was closed
    ├── ReadOnly             the folder cannot be written
    ├── WriteFailed          the operating system refused a write or a sync
    ├── OutOfMemory          the system has no memory, or filter columns exceed the memory limit
    ├── Corruption           a file is damaged; has the path and the offset
    │   └── Missing          ... because it is missing
    ├── FormatTooNew         the folder was written in a later version of the format
    └── NotADatabase         the path is a file, or a folder of another system

Messages name the argument, the value (shortened) and the remedy.
"""

from __future__ import annotations

from pathlib import Path


class StorageError(Exception):
    """Base of all errors raised by the engine."""


class InvalidArgument(StorageError, ValueError):
    """The caller's input cannot be used."""


class InvalidType(InvalidArgument, TypeError):
    """The caller's input has the wrong type."""


class WrongDimension(InvalidArgument):
    """The vectors of a call are not as long as those that the collection has.

    argument  the argument with the vectors, and the argument with the texts that they may have been made of
    """

    def __init__(self, dimension: int, got: int, argument: str) -> None:
        super().__init__(
            f"Collection expecting embedding with dimension of {dimension}, got {got}: {argument} must have "
            f"{dimension} numbers each, like the stored vectors. Use the embedding function that made those "
            "(collection.configuration names it), or another collection"
        )


class UnmatchedKey(InvalidArgument):
    """No record can match a condition of the filter of a change."""


class NotFound(StorageError):
    """A tenant, database or collection does not exist."""


class AlreadyExists(StorageError):
    """A name is already taken."""


class Closed(StorageError):
    """The engine was closed."""


class ReadOnly(StorageError):
    """The folder cannot be written."""


class WriteFailed(StorageError):
    """The operating system refused a write or a sync; nothing was acknowledged."""


class OutOfMemory(StorageError):
    """The system has no memory, or filter columns exceed the memory limit."""


class Corruption(StorageError):
    """A file is damaged. `path` is its path; `offset` is the byte position of the damage, if known."""

    def __init__(self, path: str | Path, what: str, offset: int | None = None) -> None:
        self.path = str(path)
        self.offset = offset
        where = "" if offset is None else f" at offset {offset}"
        super().__init__(
            f"{self.path} is damaged{where}: {what}. "
            "Run `chroma check DIR --repair` to rebuild what can be rebuilt."
        )


class Missing(Corruption):
    """A file or folder is missing. This is damage, unless its collection has just been deleted."""


class FormatTooNew(StorageError):
    """The folder was written in a later version of the format."""


class NotADatabase(StorageError):
    """The path is a file, or a folder of another system."""
