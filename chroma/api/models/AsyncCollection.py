"""Import names of Chroma programs."""

from __future__ import annotations

from ..._async.collection import AsyncCollection

__all__ = ["AsyncCollection"]
