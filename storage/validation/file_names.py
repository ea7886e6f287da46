"""The allowed names of files and folders in a database.

Owns: the form of every name that is read from a file. A name is checked before anything with this name is
opened, written, linked or removed. A checksum is not enough, because a forged file can have a correct one. A
name of another form could point outside the folder.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..interface.errors import Corruption
from ..interface.short_repr import shown


class Kind(NamedTuple):
    """A kind of file or folder, and the form of its names."""

    what: str
    form: re.Pattern[str]

    def fits(self, name: Any) -> bool:
        return type(name) is str and self.form.fullmatch(name) is not None

    def checked(self, name: Any, path: str, field: str) -> str:
        """Return the name that the file at `path` has in `field`. Raises Corruption if its form is wrong."""
        if not self.fits(name):
            raise Corruption(path, f"{field} is {json_shown(name)}, which is not the name of {self.what}")
        return str(name)


def _kind(what: str, form: str) -> Kind:
    return Kind(what, re.compile(form, re.ASCII))


# Older versions numbered these files. Newer versions use random digits.
SEGMENT = _kind("a segment", r"seg-[0-9a-f]{1,32}")
SEGMENT_FILE = _kind("a file of a segment", r"[a-z][a-z0-9_-]{0,63}\.(arrow|parquet)")
TOMBSTONES = _kind("a tombstone file", r"deleted-[0-9a-f]{1,32}")
VALUES = _kind("a values file", r"values-[0-9a-f]{12}")
GRAPH = _kind("a graph file", r"graph-[0-9a-f]{1,32}\.hnsw")
INDEX = _kind("an index file", r"index-[0-9a-f]{12}\.idx")
LOG = _kind("a log", r"log-[0-9]{16}\.wal")
CATALOG_LOG = _kind("a log of the catalog", r"catalog-[0-9]{16}\.wal")
COLLECTION = _kind("a collection's folder", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DIGEST = _kind("a checksum", r"[0-9a-f]{16}")


_VERSION = re.compile(r"-[0-9a-f]{12}(?=\.)", re.ASCII)


def role(name: str) -> str:
    """Return the name of a segment's file without its version, so what is in it.

    A segment's values may be rewritten. `records-0123456789ab.arrow` then takes the role of `records.arrow`.
    """
    return _VERSION.sub("", name)


def sequence(log: str) -> int:
    """Return the number in a log's name, which is the sequence number of its first frame."""
    return int(log[-20:-4])


def following(path: str, payload: bytes) -> str:
    """Return the name of the next log, from the payload of the frame that ends the log at `path`.

    Raises Corruption unless it is a later log of the same kind. A chain with a cycle would be read forever.
    """
    name, own = payload.decode("utf-8", "replace"), path.rsplit("/", 1)[-1]
    kind = CATALOG_LOG if own.startswith("catalog-") else LOG
    kind.checked(name, path, "the log that follows it")
    if kind.fits(own) and sequence(name) <= sequence(own):
        raise Corruption(path, f"it leads back to {name}")
    return name


def json_shown(value: Any) -> str:
    """Describe a wrong value from a JSON file, by its type or a short repr."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "null" if value is None else shown(value)
