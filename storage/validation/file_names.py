"""What files and folders of a database may be called.

Owns: the form of every name that is read from a file, before anything is opened, written, linked or removed
by it. Checksums prove nothing against somebody who writes them himself; a name that has no such form could
lead out of the folder.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..interface.errors import Corruption
from ..interface.short_repr import shown


class Kind(NamedTuple):
    """What has such a name, and the form of the name."""

    what: str
    form: re.Pattern[str]

    def fits(self, name: Any) -> bool:
        return type(name) is str and self.form.fullmatch(name) is not None

    def checked(self, name: Any, path: str, field: str) -> str:
        """The name. Raises Corruption: the file at `path` has it in `field`."""
        if not self.fits(name):
            raise Corruption(path, f"{field} is {json_shown(name)}, which is not the name of {self.what}")
        return str(name)


def _kind(what: str, form: str) -> Kind:
    return Kind(what, re.compile(form, re.ASCII))


# Numbers where older versions counted, random digits since.
SEGMENT = _kind("a segment", r"seg-[0-9a-f]{1,32}")
SEGMENT_FILE = _kind("a file of a segment", r"[a-z][a-z0-9_-]{0,63}\.(arrow|parquet)")
TOMBSTONES = _kind("a tombstone file", r"deleted-[0-9a-f]{1,32}")
GRAPH = _kind("a graph file", r"graph-[0-9a-f]{1,32}\.hnsw")
LOG = _kind("a log", r"log-[0-9]{16}\.wal")
CATALOG_LOG = _kind("a log of the catalog", r"catalog-[0-9]{16}\.wal")
COLLECTION = _kind("a collection's folder", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DIGEST = _kind("a checksum", r"[0-9a-f]{16}")


def sequence(log: str) -> int:
    """The number in the name of a log, which is that of its first frame."""
    return int(log[-20:-4])


def following(path: str, payload: bytes) -> str:
    """The name in the frame that ends the log at `path`: of a log of the same kind, and a later one, for a
    log that leads back would be read for ever."""
    name, own = payload.decode("utf-8", "replace"), path.rsplit("/", 1)[-1]
    kind = CATALOG_LOG if own.startswith("catalog-") else LOG
    kind.checked(name, path, "the log that follows it")
    if kind.fits(own) and sequence(name) <= sequence(own):
        raise Corruption(path, f"it leads back to {name}")
    return name


def json_shown(value: Any) -> str:
    """A wrong value out of a JSON file: what it is, or a short repr."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "null" if value is None else shown(value)
