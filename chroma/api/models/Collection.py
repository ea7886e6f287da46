"""Import names of Chroma programs."""

from __future__ import annotations

from ..._sync.collection import Collection

__all__ = ["Collection"]
