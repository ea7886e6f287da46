"""Import names of Chroma programs: the class lives in `chroma.collection`."""

from __future__ import annotations

from ...collection import Collection

__all__ = ["Collection"]
