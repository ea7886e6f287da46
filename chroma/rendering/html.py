"""Builds HTML. Escapes every string that is not `Html`, so that no text in a record becomes markup.

Styles are inline, because notebooks remove style sheets from untrusted output. They set no text or background
colours, so that the notebook's light or dark theme applies. The output contains no scripts.
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
_WRAP = "white-space:normal;overflow-wrap:anywhere"
_ONE_LINE = 48  # characters; a UUID has 36, a rendered vector up to 47
_CREDENTIALS = re.compile(r"//[^/\s@]*@")


class Html(str):
    """A string that is markup."""

    __slots__ = ()


Node = str  # an Html, or a text to be escaped


def node(tag: str, style: str, *children: Node, span: int = 1) -> Html:
    """Build an element. Escapes children that are not Html."""
    rows = f' rowspan="{span}"' if span > 1 else ""
    styled = f' style="{escape(style)}"' if style else ""
    return Html(f"<{tag}{rows}{styled}>{joined(children)}</{tag}>")


def joined(children: Iterable[Node]) -> Html:
    """Concatenate the children. Escapes those that are not Html."""
    return Html("".join(child if isinstance(child, Html) else _escaped(child) for child in children))


def _escaped(text: str) -> str:
    # replaces lone surrogates, which cannot be sent to the notebook
    return escape(text).encode("utf-8", "replace").decode("utf-8")


def card(title: Node, *parts: Node) -> Html:
    """Build the whole repr of one object."""
    heading = node("div", "font-weight:600;margin-bottom:4px", title)
    return node("div", "font-size:13px;line-height:1.45;margin:2px 0;overflow-x:auto", heading, *parts)


def caption(text: Node) -> Html:
    """Build a line of text that accompanies the data."""
    return node("div", f"{_FAINT};margin:3px 0", text)


def faint(text: Node) -> Html:
    return node("span", _FAINT, text)


def mono(text: Node) -> Html:
    """Render an id, a path or numbers in a monospace font, on one line if short."""
    style = "font-family:monospace;font-size:12px"
    return node("span", style + (";white-space:nowrap" if len(text) <= _ONE_LINE else ""), text)


def unbroken(text: Node) -> Html:
    """Render a text that stays on one line."""
    return node("span", "white-space:nowrap", text)


def facts(entries: Iterable[tuple[str, Node]]) -> Html:
    """Render pairs of a name and a value inline, in as few lines as possible."""
    shown = [
        node("span", "display:inline-block;margin-right:1.6em", faint(f"{name} "), content)
        for name, content in entries
    ]
    return node("div", "margin:2px 0 6px", *shown)


def pairs(entries: Iterable[tuple[str, str]]) -> Html:
    """Render metadata for a cell."""
    shown = [
        node("span", "display:inline-block;margin-right:.9em", faint(f"{key} "), content)
        for key, content in entries
    ]
    return joined(chain.from_iterable((each, " ") for each in shown))


def cell(content: Node, *, span: int = 1, right: bool = False, least: str = "0", most: str = "34em") -> Html:
    """Build a table cell. `least`, `most`: the widths between which a text in it is broken into lines."""
    limits = f"min-width:{least};max-width:{most}"
    style = f"{_CELL};text-align:right;white-space:nowrap" if right else f"{_CELL};{limits};{_WRAP}"
    return node("td", style + ";font-variant-numeric:tabular-nums", content, span=span)


def table(header: Sequence[str], rows: Iterable[Sequence[Html]], right: Iterable[str] = ()) -> Html:
    """Build a table of `cell`s. A row may have fewer cells if a cell above spans several rows."""
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
    """Return the result of `build`. A repr must not raise, so an error is rendered as text."""
    try:
        return str(build())
    except Exception as error:
        return str(card(name, caption(f"cannot be shown as a table: {said(error)}")))


def said(error: BaseException) -> str:
    """Return an error as text, without credentials in URLs, because users share notebooks."""
    return short(_CREDENTIALS.sub("//", f"{type(error).__name__}: {error}"), 400)
