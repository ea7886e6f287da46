"""HTML as a reader sees it."""

from __future__ import annotations

from html.parser import HTMLParser


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


def page(html: str) -> _Page:
    """The parts of an HTML text, whose elements must all be closed and be nothing but a table's."""
    found = _Page()
    found.feed(html)
    found.close()
    assert found.open == []
    assert found.tags <= {"div", "span", "table", "thead", "tbody", "tr", "th", "td"}
    assert found.attributes <= {"style", "rowspan"}
    return found


def rows(html: str) -> list[list[str]]:
    """The texts of the table's cells, with single spaces; the first row is the header."""
    return [[" ".join(cell.split()) for cell in row] for row in page(html).rows]


def words(html: str) -> str:
    """All text, with single spaces."""
    return " ".join(" ".join(page(html).texts).split())
