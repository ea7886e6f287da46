"""The class with which test suites get a fresh in-memory store between tests."""

from __future__ import annotations

from .._sync.client import Client
from ..config import DEFAULT_DATABASE, DEFAULT_TENANT, System
from ..factories import clear_system_cache, from_system


class SharedSystemClient:
    """The methods of Chroma's client base class that programs call on the class."""

    @staticmethod
    def clear_system_cache() -> None:
        """Start a new shared in-memory store; see `chroma.factories.clear_system_cache`."""
        clear_system_cache()

    @staticmethod
    def from_system(system: System, tenant: str = DEFAULT_TENANT, database: str = DEFAULT_DATABASE) -> Client:
        """Create a client with the settings of a `System`."""
        return from_system(system, tenant, database)


__all__ = ["SharedSystemClient"]
