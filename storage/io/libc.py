"""The C library of this process, and its functions that Python does not offer."""

from __future__ import annotations

import ctypes
import errno
import os

__all__ = ["exchange", "libc"]

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE on Linux

try:
    libc = ctypes.CDLL(None, use_errno=True)
except OSError as error:  # pragma: no cover - a Python without shared libraries
    raise ImportError("chroma needs a Python that is linked to its C library, not a static one") from error

_renameat2 = getattr(libc, "renameat2", None)
if _renameat2 is not None:
    _renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)


def exchange(one: str, other: str) -> None:
    """Exchange two names atomically.

    Raises OSError, with ENOSYS or EINVAL if the system or the file system does not support this.
    """
    if _renameat2 is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), one)
    if _renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), one)
