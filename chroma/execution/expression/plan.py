"""`Search`, at the path where programs written for Chroma import it."""

from __future__ import annotations

from ...search.search import Search

__all__ = ["Search"]
