"""Import paths for programs written for Chroma."""

from __future__ import annotations

from .._sync.client import AdminClient, Client
from .shared_system_client import SharedSystemClient

__all__ = ["AdminClient", "Client", "SharedSystemClient"]
