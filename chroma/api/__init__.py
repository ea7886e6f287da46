"""Import names of Chroma programs: the classes live in `chroma.client` and `chroma.configuration`."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ..client import AdminClient as AdminAPI
from ..client import Client as ClientAPI
from ..client import Client as ServerAPI
from ..configuration import CreateCollectionConfiguration, UpdateCollectionConfiguration

__all__ = [
    "AdminAPI",
    "ClientAPI",
    "CreateCollectionConfiguration",
    "ServerAPI",
    "UpdateCollectionConfiguration",
]

_SUBMODULES = ("client", "collection_configuration", "models", "shared_system_client", "types")


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
