"""Addresses of the console's pages."""

from __future__ import annotations

from urllib.parse import quote


def page(tenant: str, database: str, collection: str | None = None, where: str | None = None) -> str:
    """The page of a database, or of the records of a collection that match a filter, which is JSON."""
    home = f"/t/{quote(tenant, safe='')}/d/{quote(database, safe='')}"
    if collection is None:
        return f"{home}/overview"
    records = f"{home}/c/{quote(collection, safe='')}/data"
    return records if where is None else f"{records}?where={quote(where, safe='')}"


def link(server: str, ticket: str | None = None, to: str | None = None) -> str:
    """The address of the console of a server.

    server  the address of the server
    ticket  what the console exchanges for a token
    to      a page
    """
    if ticket is None:
        return f"{server}/console/" + ("" if to is None else f"#{to}")
    target = "" if to is None else f"&to={quote(to, safe='')}"
    return f"{server}/console/#ticket={quote(ticket, safe='')}{target}"
