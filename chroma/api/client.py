"""Import names of Chroma programs: the classes live in `chroma.client`."""

from __future__ import annotations

from ..client import AdminClient, Client
from .shared_system_client import SharedSystemClient

__all__ = ["AdminClient", "Client", "SharedSystemClient"]
