"""What a forked child must not keep of its parent: locks and descriptors.

Owns: the list of what is open. A lock of `flock` is held as long as any process has its descriptor. So a
child that lived on, touching nothing, would keep writers of all processes waiting until it ends.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Protocol

__all__ = ["let_go_in_children", "opening"]


class Resource(Protocol):
    @property
    def path(self) -> str: ...
    def let_go(self) -> None:
        """Close the descriptor, and never use its number again."""


# Both are changed by single steps of the interpreter: a fork may come between any two of another thread.
_resources: set[weakref.ref[Resource]] = set()
_opening: dict[int, tuple[str, int]] = {}  # paths, and the threads that have them open


def let_go_in_children(owner: Resource) -> None:
    """Have every child that is forked from here on let go of it, as long as it is there."""
    _resources.add(weakref.ref(owner, _resources.discard))


class opening:
    """A block that opens a file and closes it, or gives it an owner that is let go in children. A child that
    another thread forks meanwhile closes it: the thread that would is not there."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        _opening[id(self)] = self._path, threading.get_ident()

    def __exit__(self, *_: object) -> None:
        _opening.pop(id(self), None)


def _after_fork() -> None:
    me = threading.get_ident()
    paths = {path for path, thread in _opening.values() if thread != me}
    for reference in list(_resources):
        owner = reference()
        if owner is not None:
            paths.add(owner.path)  # a thread may have been about to close it, and the object say that it did
            with contextlib.suppress(OSError):  # its number is nobody's, and the others are let go too
                owner.let_go()
    if paths:
        _close(paths)


def _close(paths: set[str]) -> None:
    """Close the descriptors of these files, be they removed meanwhile or not."""
    targets = {(found.st_dev, found.st_ino) for found in map(_status, paths) if found is not None}
    for name in os.listdir("/dev/fd"):
        found = _status(int(name))
        if found is None:  # that of the listing itself
            continue
        if (found.st_dev, found.st_ino) in targets or _path_of(name) in paths:
            os.close(int(name))


def _status(file: str | int) -> os.stat_result | None:
    try:
        return os.stat(file)
    except OSError:
        return None


def _path_of(name: str) -> str | None:
    """The path of a descriptor whose file was removed, where the system tells."""
    try:
        return os.readlink(f"/proc/self/fd/{name}").removesuffix(" (deleted)")
    except OSError:
        return None


if hasattr(os, "register_at_fork"):  # a client of a server may run where there is none
    os.register_at_fork(after_in_child=_after_fork)
