"""Import paths for programs written for Chroma."""

from __future__ import annotations

from .._async.client import AsyncAdminClient, AsyncClient

__all__ = ["AsyncAdminClient", "AsyncClient"]
