"""The C library of this process, and the calls of it that Python does not have."""

from __future__ import annotations

import ctypes
import errno
import os

__all__ = ["exchange", "libc"]

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD, RENAME_EXCHANGE of Linux

try:
    libc = ctypes.CDLL(None, use_errno=True)
except OSError as error:  # pragma: no cover - a Python without shared libraries
    raise ImportError("chroma needs a Python that is linked to its C library, not a static one") from error

_renameat2 = getattr(libc, "renameat2", None)
if _renameat2 is not None:
    _renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def exchange(one: str, other: str) -> None:
    """Let two names lead to what the other one led to, in one step. Raises OSError, with ENOSYS or EINVAL
    where the system, or the file system, has no such step."""
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), one)
    if _renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), one)
