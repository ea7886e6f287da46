"""Import paths for programs written for Chroma."""

from __future__ import annotations

from ..._async.collection import AsyncCollection

__all__ = ["AsyncCollection"]
