"""pyarrow, imported on first use, because importing it takes 40 ms and 27 MB of memory.

Opening a database, adding single records, and getting and searching records do not need it. Modules that
these operations import use `from ..arrow.lazy_pyarrow import pa`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["pa"]


class _LazyModule:
    """A module that is imported on the first access to one of its names."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # `copy` and others look up special names, which must not import it
            raise AttributeError(name)
        value = getattr(importlib.import_module(self._name), name)
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = _LazyModule("pyarrow")
