"""Write-back of written bytes before the sync that waits for it.

Owns: the call of Linux for it. A frame of the log is begun to be written while memory learns of it; the sync
that follows, which alone makes it durable, then waits half as long.
"""

from __future__ import annotations

import ctypes
import errno
import os

from .libc import libc

__all__ = ["begin"]

_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_NOT_HERE = errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EPERM
_NOT_NOW = errno.ENOMEM, errno.EAGAIN, errno.EINTR  # the pages wait for the sync then

_call = getattr(libc, "sync_file_range", None)
if _call is not None:
    _call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def begin(fd: int, offset: int, size: int) -> None:
    """Have the system begin to write the pages of these bytes of an open file, and do not wait for it.
    Nothing happens where it has no such call. Raises OSError where it tells already that they cannot be."""
    if _call is not None and _call(fd, offset, size, _WRITE) != 0:
        code = ctypes.get_errno()
        if code not in _NOT_HERE and code not in _NOT_NOW:
            raise OSError(code, os.strerror(code))
