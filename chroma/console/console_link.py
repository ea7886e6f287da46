"""`ConsoleLink`: the address that `browse` returns."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..rendering.html import Html, faint, node, safely
from ..requests.scope import Scope
from ..validation.read_arguments import given_filter
from ..wire.filters import plain_filter
from . import links


@dataclass(frozen=True, slots=True, repr=False)
class ConsoleLink:
    """The address of the console. Notebooks show it as a link; `str` returns it.

    url   the address
    once  whether it is good for one use within ten minutes, as it has a ticket; `browse` makes another one
    """

    __module__ = "chroma"

    url: str
    once: bool = False

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"ConsoleLink({self.url!r})"

    def _repr_html_(self) -> str:
        def build() -> Html:
            remark = " (works once, within ten minutes; browse() makes another)" if self.once else ""
            link = Html(
                f'<a href="{html.escape(self.url)}" target="_blank" rel="noopener noreferrer">'
                "Open the console</a>"
            )
            return node("div", "", link, faint(remark))

        return safely("ConsoleLink", build)


@dataclass(frozen=True, slots=True)
class Page:
    """The page that an address leads to: the collections of a database, or the records of one of them."""

    scope: Scope
    collection: str | None = None
    where: Any = None

    def link(self, server: str, ticket: str | None = None) -> ConsoleLink:
        """The address of the page on a server."""
        where = _checked(self.where)
        text = None if where is None else json.dumps(where, ensure_ascii=False)
        page = links.page(*self.scope, self.collection, text)
        return ConsoleLink(links.link(server, ticket, page), once=ticket is not None)


def _checked(where: Any) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = plain_filter("where", given_filter(where))
    return found


class Consoles(Protocol):
    """The servers of a client whose database is in this process; see chroma/server/consoles.py."""

    def link(self, page: Page, *, write: bool) -> ConsoleLink:
        """A new address of a page."""
        ...

    def close(self) -> None:
        """End the servers."""
        ...
