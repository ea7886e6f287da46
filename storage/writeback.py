"""Bytes on their way to the disk before somebody waits for them there.

Owns: the call of Linux for it. A frame of the log is begun to be written while memory learns of it; the sync
that follows, which alone makes it durable, then waits half as long.
"""

from __future__ import annotations

import ctypes
import errno
import os

__all__ = ["begin"]

_WRITE = 2  # SYNC_FILE_RANGE_WRITE
_PAGE = 4096
_UNSUPPORTED = errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EPERM

_call = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
if _call is not None:
    _call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def begin(fd: int, offset: int, size: int) -> None:
    """Have the system begin to write these bytes of an open file; return at once. Nothing happens where it
    has no such call. Raises OSError where it tells already that they cannot be written."""
    if _call is None:
        return
    start = offset - offset % _PAGE
    if _call(fd, start, offset + size - start, _WRITE) != 0:
        code = ctypes.get_errno()
        if code not in _UNSUPPORTED:
            raise OSError(code, os.strerror(code))
