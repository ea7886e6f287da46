"""Files mapped into memory, read-only, without a descriptor that stays open.

Owns: the calls of the C library for it. Python's own maps keep a descriptor each (before 3.13), of which a
process has a thousand; Arrow's keep none, but Arrow takes longer to load than a database to open.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from typing import Any

import numpy as np

from ..interface.fork_safety import opening
from . import safe_open
from .libc import libc

libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,  # off_t, where Python has 64 bits
)
libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_FAILED = ctypes.c_void_p(-1).value


class _Map:
    """What numpy takes for an array of bytes, read-only, at an address; it goes with the last view of it."""

    __slots__ = ("__array_interface__", "__weakref__")

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {"version": 3, "data": (address, True), "shape": (size,), "typestr": "|u1"}
        # Not at exit: other threads may still read then.
        weakref.finalize(self, libc.munmap, address, size).atexit = False


def map_file(path: str) -> memoryview:
    """A file as long as it is now. The map goes with the last view of it. Raises OSError."""
    with opening(path):
        fd = safe_open.open_file(path, os.O_RDONLY)
        try:
            size = os.fstat(fd).st_size
            if not size:
                return memoryview(b"")
            address = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, fd, 0)
        finally:
            os.close(fd)
    if address == _FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), path)
    array: Any = np.asarray(_Map(address, size))
    return memoryview(array)


def evict(mapped: memoryview) -> None:
    """Give the pages of a whole map back: they stay in the system's cache of the file while there is room,
    and do not count as this process's any more."""
    if len(mapped):
        address = np.frombuffer(mapped, np.uint8).ctypes.data
        libc.madvise(address, len(mapped), mmap.MADV_DONTNEED)
