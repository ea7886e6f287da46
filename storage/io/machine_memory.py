"""How much memory this process may use: the machine's, or less if a container limits it.

Sources: control groups, https://docs.kernel.org/admin-guide/cgroup-v2.html (`memory.max`) and
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (`memory.limit_in_bytes`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

_GROUPS = "/sys/fs/cgroup"
_OWN_GROUPS = "/proc/self/cgroup"


@cache
def usable() -> int:
    """Return the number of bytes that this process may use at most. Read once per process."""
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_group_limits()])


def _group_limits() -> Iterator[int]:
    """Yield the limits of this process's control groups and of all groups around them."""
    for line in _read(_OWN_GROUPS).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            yield from _limits_up(_GROUPS, path, "memory.max")
        elif "memory" in controllers.split(","):
            yield from _limits_up(f"{_GROUPS}/memory", path, "memory.limit_in_bytes")


def _limits_up(root: str, path: str, name: str) -> Iterator[int]:
    # Inside a container, the path may be the one outside, which does not exist there. The root then has the
    # container's limit.
    for group in (PurePosixPath(path), *PurePosixPath(path).parents):
        text = _read(f"{root}/{str(group).strip('/')}/{name}").strip()
        if text.isdecimal():  # otherwise it is "max", or there is no such group
            yield int(text)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:  # other systems have no such file
        return ""
