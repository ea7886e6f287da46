"""Import paths for programs written for Chroma."""

from __future__ import annotations

from ..._sync.collection import Collection

__all__ = ["Collection"]
