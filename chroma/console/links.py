"""Addresses of the console's pages."""

from __future__ import annotations

from urllib.parse import quote


def link(
    url: str, ticket: str | None = None, to: tuple[str, str, str] | None = None, where: str | None = None
) -> str:
    """The address of the console of a server.

    url     the address of the server
    ticket  what the console exchanges for a token
    to      the tenant, database and name of a collection, whose records are shown
    where   a filter of these, as JSON
    """
    page = None if to is None else _page(to, where)
    if ticket is None:
        return f"{url}/console/" + ("" if page is None else f"#{page}")
    parts = [f"ticket={quote(ticket, safe='')}"] + ([] if page is None else [f"to={quote(page, safe='')}"])
    return f"{url}/console/#{'&'.join(parts)}"


def _page(to: tuple[str, str, str], where: str | None) -> str:
    path = "/t/{}/d/{}/c/{}/data".format(*(quote(part, safe="") for part in to))
    return path if where is None else f"{path}?where={quote(where, safe='')}"
