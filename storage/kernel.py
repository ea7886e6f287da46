"""The compiled part of the engine, where it could be compiled.

Owns: whether `_kernel.c` is there. Its functions have twins in distance.py and segment.py, which give the
same answers without it.
"""

from __future__ import annotations

import warnings
from types import ModuleType


class KernelMissing(UserWarning):
    """The compiled part is not there; answers are the same, and come later."""


compiled: ModuleType | None
try:
    from . import _kernel

    compiled = _kernel
except ImportError:
    compiled = None
    warnings.warn(
        "The compiled part of chroma is missing, so queries take a third longer. Install a C compiler and "
        "the Python headers (Debian: gcc python3-dev), then install chroma-arrow again; in a checkout: "
        "`pip install -e .`.",
        KernelMissing,
        stacklevel=2,
    )
