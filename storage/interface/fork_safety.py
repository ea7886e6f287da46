"""Release the locks and descriptors that a forked child inherits from its parent.

Owns: the list of open files. A `flock` lock is held while any process has its descriptor open. So a child
that does nothing would make the writers of all processes wait until it ends.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Protocol

__all__ = ["forks", "let_go_in_children", "opening"]


class Resource(Protocol):
    @property
    def path(self) -> str: ...
    def let_go(self) -> None:
        """Close the descriptor and do not use its number again."""


forks = 0  # how many forks lie between the first process and this one; reading it takes no system call

# Both are changed only by atomic operations, because another thread may fork at any moment.
_resources: set[weakref.ref[Resource]] = set()
_opening: dict[int, tuple[str, int]] = {}  # paths that are being opened, and the threads that open them


def let_go_in_children(owner: Resource) -> None:
    """Make every child that is forked from now on call `owner.let_go`, while the owner exists."""
    _resources.add(weakref.ref(owner, _resources.discard))


class opening:
    """Context manager for a block that opens a file.

    The block closes the file, or passes it to an owner registered with `let_go_in_children`. If another
    thread forks meanwhile, the child closes the file, because the thread that would close it does not exist
    in the child.
    """

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        _opening[id(self)] = self._path, threading.get_ident()

    def __exit__(self, *_: object) -> None:
        _opening.pop(id(self), None)


def _after_fork() -> None:
    global forks
    forks += 1
    me = threading.get_ident()
    paths = {path for path, thread in _opening.values() if thread != me}
    for reference in list(_resources):
        owner = reference()
        if owner is not None:
            paths.add(owner.path)  # a thread may have marked it as closed without having closed it yet
            with contextlib.suppress(OSError):  # already closed; the other owners must still be released
                owner.let_go()
    if paths:
        _close(paths)


def _close(paths: set[str]) -> None:
    """Close the descriptors of these files, even if the files were removed meanwhile."""
    targets = {(found.st_dev, found.st_ino) for found in map(_status, paths) if found is not None}
    for name in os.listdir("/dev/fd"):
        found = _status(int(name))
        if found is None:  # the descriptor of the listing itself
            continue
        if (found.st_dev, found.st_ino) in targets or _path_of(name) in paths:
            os.close(int(name))


def _status(file: str | int) -> os.stat_result | None:
    try:
        return os.stat(file)
    except OSError:
        return None


def _path_of(name: str) -> str | None:
    """Return the path of a descriptor, even if its file was removed, or None if the system does not know."""
    try:
        return os.readlink(f"/proc/self/fd/{name}").removesuffix(" (deleted)")
    except OSError:
        return None


if hasattr(os, "register_at_fork"):  # a client of a server may run on a system without fork
    os.register_at_fork(after_in_child=_after_fork)
