"""Map files into memory, read-only, without keeping a descriptor open.

Owns: the calls of the C library that map and unmap files. Before Python 3.13, each of Python's own maps keeps
a descriptor, and a process has only about a thousand. Arrow's maps keep none, but importing Arrow takes
longer than opening a database.
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
    ctypes.c_long,  # off_t, on 64-bit systems
)
libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_FAILED = ctypes.c_void_p(-1).value


class _Map:
    """A read-only byte array at an address, for numpy. The mapping is released with its last view."""

    __slots__ = ("__array_interface__", "__weakref__")

    def __init__(self, address: int, size: int) -> None:
        self.__array_interface__ = {"version": 3, "data": (address, True), "shape": (size,), "typestr": "|u1"}
        # Not unmapped at exit, because other threads may still be reading.
        weakref.finalize(self, libc.munmap, address, size).atexit = False


def map_file(path: str) -> memoryview:
    """Map a file at its current length. Raises OSError.

    The mapping is released when its last view is released.
    """
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
    """Release the pages of a whole map.

    The pages no longer belong to the memory of this process. They stay in the system's page cache while there
    is room.
    """
    if len(mapped):
        address = np.frombuffer(mapped, np.uint8).ctypes.data
        libc.madvise(address, len(mapped), mmap.MADV_DONTNEED)


def read_at_random(mapped: memoryview) -> None:
    """Read only the pages of a map that are used. Otherwise the system also reads pages around them."""
    if len(mapped):
        address = np.frombuffer(mapped, np.uint8).ctypes.data
        libc.madvise(address, len(mapped), mmap.MADV_RANDOM)
