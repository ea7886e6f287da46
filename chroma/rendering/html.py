"""HTML by construction: whatever is not `Html` already is escaped, so no text of a record becomes markup.

Styles are inline, since notebooks take style sheets away from what they do not trust, and set no colours of
their own: text and background are those of the notebook, light or dark. No scripts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import chain

from .text import short

_LINE = "1px solid rgba(128,128,128,.35)"
_FAINT = "opacity:.65"
_CELL = (
    f"text-align:left;vertical-align:top;padding:3px 10px;border:0;border-bottom:{_LINE};unicode-bidi:isolate"
)
_WRAP = "max-width:34em;white-space:normal;overflow-wrap:anywhere"
_ONE_LINE = 48  # characters: a UUID has 36, a vector as it is shown up to 47
_CREDENTIALS = re.compile(r"//[^/\s@]*@")


class Html(str):
    """Text that is markup."""

    __slots__ = ()


Node = str  # an Html, or a text that will be escaped


def node(tag: str, style: str, *children: Node, span: int = 1) -> Html:
    """An element. Children that are not Html are escaped."""
    rows = f' rowspan="{span}"' if span > 1 else ""
    styled = f' style="{escape(style)}"' if style else ""
    return Html(f"<{tag}{rows}{styled}>{joined(children)}</{tag}>")


def joined(children: Iterable[Node]) -> Html:
    """The children one after the other, escaped where they are not Html."""
    return Html("".join(child if isinstance(child, Html) else _escaped(child) for child in children))


def _escaped(text: str) -> str:
    # a lone surrogate could not be sent to the notebook
    return escape(text).encode("utf-8", "replace").decode("utf-8")


def card(title: Node, *parts: Node) -> Html:
    """The whole repr of one thing."""
    heading = node("div", "font-weight:600;margin-bottom:4px", title)
    return node("div", "font-size:13px;line-height:1.45;margin:2px 0;overflow-x:auto", heading, *parts)


def note(text: Node) -> Html:
    """A line beside the data."""
    return node("div", f"{_FAINT};margin:3px 0", text)


def faint(text: Node) -> Html:
    return node("span", _FAINT, text)


def mono(text: Node) -> Html:
    """An id, a path, numbers; in one line where that is not long."""
    style = "font-family:monospace;font-size:12px"
    return node("span", style + (";white-space:nowrap" if len(text) <= _ONE_LINE else ""), text)


def facts(entries: Iterable[tuple[str, Node]]) -> Html:
    """Pairs of a name and a value, one after the other in as few lines as they need."""
    shown = [
        node("span", "display:inline-block;margin-right:1.6em", faint(f"{name} "), content)
        for name, content in entries
    ]
    return node("div", "margin:2px 0 6px", *shown)


def pairs(entries: Iterable[tuple[str, str]]) -> Html:
    """Metadata within a cell."""
    shown = [
        node("span", "display:inline-block;margin-right:.9em", faint(f"{key} "), content)
        for key, content in entries
    ]
    return joined(chain.from_iterable((each, " ") for each in shown))


def cell(content: Node, *, span: int = 1, right: bool = False) -> Html:
    """An entry of a table."""
    style = f"{_CELL};text-align:right;white-space:nowrap" if right else f"{_CELL};{_WRAP}"
    return node("td", style + ";font-variant-numeric:tabular-nums", content, span=span)


def table(header: Sequence[str], rows: Iterable[Sequence[Html]], right: Iterable[str] = ()) -> Html:
    """A table of `cell`s; a row may have fewer of them where a cell above spans rows."""
    aligned = set(right)
    heads = [
        node(
            "th",
            f"{_CELL};{_FAINT};font-weight:600;text-align:{'right' if name in aligned else 'left'}",
            name,
        )
        for name in header
    ]
    body = [node("tr", "background:transparent", *row) for row in rows]
    return node(
        "table",
        f"border-collapse:collapse;border:0;border-top:{_LINE};margin:4px 0;color:inherit;font-size:inherit",
        node("thead", "", node("tr", "background:transparent", *heads)),
        node("tbody", "", *body),
    )


def safely(name: str, build: Callable[[], Html]) -> str:
    """What `build` makes. A repr must not raise, so an error becomes a sentence."""
    try:
        return str(build())
    except Exception as error:
        return str(card(name, note(f"cannot be shown as a table: {said(error)}")))


def said(error: BaseException) -> str:
    """An error in words, without credentials that an address may hold: notebooks are passed on."""
    return short(_CREDENTIALS.sub("//", f"{type(error).__name__}: {error}"), 400)
