"""Start the write-back of written bytes before the sync that waits for it.

Owns: the Linux call `sync_file_range`. The system starts writing a log frame while the engine applies it in
memory. The sync that follows then waits half as long. Only the sync makes the frame durable.
"""

from __future__ import annotations

import ctypes
import errno
import os

from .libc import libc

__all__ = ["begin"]

_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_NOT_HERE = errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EPERM
_NOT_NOW = errno.ENOMEM, errno.EAGAIN, errno.EINTR  # the pages are then written by the sync

_call = getattr(libc, "sync_file_range", None)
if _call is not None:
    _call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def begin(fd: int, offset: int, size: int) -> None:
    """Ask the system to start writing a range of an open file, without waiting.

    Does nothing on systems without such a call. Raises OSError if the system already reports that the bytes
    cannot be written.
    """
    if _call is not None and _call(fd, offset, size, _WRITE) != 0:
        code = ctypes.get_errno()
        if code not in _NOT_HERE and code not in _NOT_NOW:
            raise OSError(code, os.strerror(code))
