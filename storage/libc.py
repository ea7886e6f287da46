"""The C library of this process, for the calls that Python does not have."""

from __future__ import annotations

import ctypes

__all__ = ["libc"]

try:
    libc = ctypes.CDLL(None, use_errno=True)
except OSError as error:  # pragma: no cover - a Python without shared libraries
    raise ImportError("chroma needs a Python that is linked to its C library, not a static one") from error
