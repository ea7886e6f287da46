"""Import names of Chroma programs: the classes live in `chroma.client` and `chroma.configuration`."""

from __future__ import annotations

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
