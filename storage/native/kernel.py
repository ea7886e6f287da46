"""The compiled part of the engine, where it could be compiled.

Owns: whether `_kernel.c` is there. Its functions have twins in vectors/, arrow/ and
validation/column_offsets.py, which give the same answers without it.
"""

from __future__ import annotations

import threading
import warnings
from types import ModuleType

_VERSION = 3  # of the calls, as in _kernel.c

compiled: ModuleType | None = None
try:
    from . import _kernel

    if _kernel.VERSION == _VERSION:
        compiled = _kernel
except (ImportError, AttributeError):
    pass  # whoever opens a database is told, see below


class KernelMissing(UserWarning):
    """The compiled part is not there; answers are the same, and come later."""


_warned = threading.Event()


def expect() -> None:
    """Warn, once in a process, if the compiled part is missing or was compiled from another source."""
    if compiled is None and not _warned.is_set():
        _warned.set()
        warnings.warn(
            "The compiled part of chroma is missing or old, so queries take a third longer. Install a C "
            "compiler and the Python headers (Debian: gcc python3-dev), then `pip install --force-reinstall "
            "--no-deps --no-cache-dir chroma-arrow`; in a checkout, `pip install -e .`.",
            KernelMissing,
            stacklevel=2,
        )
