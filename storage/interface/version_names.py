"""Named versions of a collection: how they are written in the catalog.

A version is a collection that can only be read, and shares the segments of the one that it is of. Its name
in the catalog is `ID@TIME@NAME`: the id of the collection, the time in UTC as 20261130T164600Z, and the name
that the user gave. No other name has an @.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from .errors import AlreadyExists, NotFound, ReadOnly
from .values import CollectionInfo

_MARK = "@"


def is_version(info: CollectionInfo) -> bool:
    """Whether an entry of the catalog is a version of another collection."""
    return _MARK in info.name


def entry_name(id: str, name: str) -> str:
    """Return the name in the catalog of a version that is made now."""
    return _MARK.join([id, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), name])


def versions_of(id: str, infos: Sequence[CollectionInfo]) -> list[CollectionInfo]:
    """Return the versions of a collection among some entries of the catalog, the oldest first."""
    return [info for info in infos if info.name.startswith(id + _MARK)]


def current_id(info: CollectionInfo) -> str:
    """Return the id of the collection that a version is of."""
    return info.name.partition(_MARK)[0]


def given_name(info: CollectionInfo) -> str:
    """Return the name that the user gave a version."""
    return info.name.split(_MARK, 2)[2]


def created(info: CollectionInfo) -> str:
    """Return when a version was made, in UTC, as ISO 8601."""
    text = info.name.split(_MARK, 2)[1]
    return f"{text[:4]}-{text[4:6]}-{text[6:11]}:{text[11:13]}:{text[13:]}"


def named(name: str, infos: Sequence[CollectionInfo]) -> CollectionInfo:
    """Return the version with a name. Raises NotFound, which names the others."""
    for info in infos:
        if given_name(info) == name:
            return info
    raise NotFound(unknown(name, map(given_name, infos)))


def unknown(name: str, others: Iterable[str]) -> str:
    """Return the message about a snapshot that does not exist."""
    listed = ", ".join(map(repr, others)) or f"none; collection.snapshot({name!r}) makes one"
    return f"the collection has no snapshot {name!r}; it has {listed}"


def check_new(version: CollectionInfo, infos: Sequence[CollectionInfo]) -> None:
    """Check that a version can be made beside some entries of the catalog.

    Raises NotFound if its collection is gone, AlreadyExists if the collection has a version of that name. The
    name in the catalog does not show the latter, because it has the time.
    """
    if all(info.id != current_id(version) for info in infos):
        raise NotFound(f"Collection [{current_id(version)}] does not exist any more: it was deleted")
    name = given_name(version)
    if any(given_name(other) == name for other in versions_of(current_id(version), infos)):
        raise AlreadyExists(f"the collection has a snapshot {name!r} already; choose another name")


def check_current(info: CollectionInfo) -> None:
    """Raise ReadOnly for a version."""
    if is_version(info):
        raise ReadOnly(
            f"the snapshot {given_name(info)!r} can only be read: fork it for a copy that can be changed, or "
            "restore it"
        )
