"""A client's knowledge of its server: the properties that the server reported when the client connected,
and the paths of its routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import ServerConnectionError, UnsupportedError
from ..requests.scope import Scope
from ..storage.interface.requests import Selection
from ..storage.interface.short_repr import shown
from ..storage.interface.values import CollectionRef
from ..wire import content_negotiation, json_codec
from ..wire.filters import plain_filter, uses_key
from .retry_policy import segment

# The limits of a request, in bytes and records, if the server does not report its limits.
# Servers usually allow 40 MiB and 5461 records.
_BODY_LIMIT = 32 * 2**20
_BATCH_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Server:
    """The properties that a server reports before the first call.

    own    the server is this package's own
    arrow  both the server and this client can send and receive Arrow streams
    """

    url: str
    own: bool
    max_batch_size: int
    max_body_bytes: int
    base64: bool
    arrow: bool = False

    def unsupported(self, call: str) -> NoReturn:
        """Raise UnsupportedError for a call that this server does not offer."""
        raise UnsupportedError(f"the server at {self.url} does not offer {call}; a chroma-arrow server does")

    def require_own(self, call: str) -> None:
        """Raise UnsupportedError unless the server is this package's own."""
        if not self.own:
            self.unsupported(call)

    def plain(self, selection: Selection) -> Selection:
        """The selection with its filters as plain JSON values. Raises UnsupportedError for conditions that
        the server would misinterpret."""
        if selection.where is None and selection.where_document is None:
            return selection
        where = plain_filter("where", selection.where)
        if not self.own and uses_key(where, "#id"):
            self.unsupported("conditions on '#id'")  # other servers accept these, but match nothing
        document = plain_filter("where_document", selection.where_document)
        return Selection(ids=selection.ids, where=where, where_document=document)


def server_from(url: str, preflight: Any) -> Server:
    """The properties in the response to `pre-flight-checks`. Raises ServerConnectionError if it is not a
    Chroma server's."""
    if not isinstance(preflight, Mapping):
        raise ServerConnectionError(f"no Chroma server: its pre-flight checks are {shown(preflight)}")
    own = preflight.get(json_codec.OWN_KEY)
    limit = own.get("max_body_bytes") if isinstance(own, Mapping) else None
    return Server(
        url=url,
        own=own is not None,
        max_batch_size=max(1, int(preflight.get("max_batch_size") or _BATCH_LIMIT)),
        max_body_bytes=int(limit or _BODY_LIMIT),
        base64=bool(preflight.get("supports_base64_encoding", False)),
        arrow=isinstance(own, Mapping)
        and own.get("arrow") == content_negotiation.MEDIA_TYPE
        and content_negotiation.available(),
    )


def tenant_path(name: str) -> str:
    return f"/tenants/{segment(name)}"


def database_path(scope: Scope) -> str:
    return f"{tenant_path(scope.tenant)}/databases/{segment(scope.database)}"


def scope_of(collection: CollectionRef) -> Scope:
    return Scope(collection.tenant, collection.database)


def collection_path(collection: CollectionRef) -> str:
    return f"{database_path(scope_of(collection))}/collections/{collection.id}"


def page(limit: int | None, offset: int | None) -> dict[str, int]:
    """The query parameters of a request that lists items."""
    return {key: value for key, value in (("limit", limit), ("offset", offset)) if value is not None}
