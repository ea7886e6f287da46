"""Import paths of clients and configurations for programs written for Chroma."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from .._async.client import AsyncAdminClient as AsyncAdminAPI
from .._async.client import AsyncClient as AsyncClientAPI
from .._async.client import AsyncClient as AsyncServerAPI
from .._sync.client import AdminClient as AdminAPI
from .._sync.client import Client as ClientAPI
from .._sync.client import Client as ServerAPI
from ..collection.configuration import CreateCollectionConfiguration, UpdateCollectionConfiguration

__all__ = [
    "AdminAPI",
    "AsyncAdminAPI",
    "AsyncClientAPI",
    "AsyncServerAPI",
    "ClientAPI",
    "CreateCollectionConfiguration",
    "ServerAPI",
    "UpdateCollectionConfiguration",
]

_SUBMODULES = (
    "async_client",
    "client",
    "collection_configuration",
    "models",
    "shared_system_client",
    "types",
)


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
