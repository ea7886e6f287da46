"""For everybody: no findings of axe-core on any page in any colours, and all of it with the keyboard only."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import Console

VENDOR = Path(__file__).with_name("vendor")
AXE = (VENDOR / "axe.min.js").read_text("utf-8")
RULES = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']"
FINDINGS = f"""async () => (await axe.run(document, {{runOnly: {RULES}}})).violations.flatMap((each) =>
  each.nodes.map((node) => `${{each.id}}: ${{node.html.slice(0, 200)}} ${{node.failureSummary}}`))"""
PAGES: dict[str, dict[str, str]] = {
    "overview": {},
    "data": {"where": '{"kind":"blue"}'},
    "record": {"id": "t001"},
    "search": {"like": "t001", "two": "1", "n": "3"},
    "keys": {"key": "n"},
    "map": {"colour": "kind"},
    "duplicates": {"max": "0.2"},
    "quality": {},
    "io": {},
    "sql": {"sql": "SELECT kind, n FROM things LIMIT 5"},
    "server": {},
    "help": {},
}


def findings(page: Any) -> dict[str, list[str]]:
    """What axe-core finds in each of the three colours."""
    found = {}
    page.evaluate(AXE)
    for colours in ("light", "dark", "contrast"):
        page.evaluate("(each) => { document.documentElement.dataset.theme = each; }", colours)
        if each := page.evaluate(FINDINGS):
            found[colours] = each
    return found


def test_axe_is_as_it_was_published() -> None:
    said = re.findall(r"^\| `(\S+\.js)`.*`([0-9a-f]{64})` \|$", (VENDOR / "README.md").read_text(), re.M)
    assert said == [("axe.min.js", hashlib.sha256((VENDOR / "axe.min.js").read_bytes()).hexdigest())]


def test_axe_finds_what_is_wrong(console: Console) -> None:
    console.page.goto(f"{console.url}/console/")
    console.page.set_content("<main><img src='data:,'><button></button></main>")
    assert len(findings(console.page)["light"]) > 2


@pytest.mark.parametrize("page", PAGES)
def test_no_findings(console: Console, things: Any, page: str) -> None:
    single = page not in {"overview", "sql", "server", "help"}
    opened = console.open(page, "things" if single else None, **PAGES[page])
    opened.wait_for_load_state("networkidle")
    assert findings(opened) == {}


def test_no_findings_in_dialogs(console: Console, things: Any) -> None:
    page = console.open("record", "things", id="t001")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Value of kind").fill("green")
    page.get_by_role("button", name="Review the changes").click()
    assert findings(page) == {}
    page = console.open("data", "things", where='{"kind":"blue"}')
    for name in ("Columns", "Delete what matches"):
        page.get_by_role("button", name=name).click()
        page.get_by_role("dialog").get_by_role("button").nth(1).wait_for()
        assert findings(page) == {}
        page.keyboard.press("Escape")


NAMED = """(() => { const each = document.activeElement;
  const name = each.getAttribute("aria-label") ?? each.labels?.[0]?.textContent ?? each.textContent ?? "";
  return [each.tagName, name.trim()]; })()"""


class Keyboard:
    """Moves by Tab and by keys, and clicks nothing."""

    def __init__(self, page: Any) -> None:
        self.page = page

    def to(self, name: str, tag: str = "") -> None:
        """Tab until the element with the name has the focus, which must be visible."""
        for _ in range(150):
            self.page.keyboard.press("Tab")
            said = self.page.evaluate(NAMED)
            if said[1].startswith(name) and said[0].startswith(tag.upper()):
                style = "getComputedStyle(document.activeElement).outlineStyle"
                assert self.page.evaluate(style) != "none"
                return
        raise AssertionError(f"no way to {name} by Tab")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


def test_all_by_the_keyboard(console: Console, things: Any) -> None:
    page = console.open("overview")
    page.get_by_role("link", name="things", exact=True).wait_for()
    keys = Keyboard(page)
    keys.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    keys.press("Enter")
    keys.to("things", "a")
    keys.press("Enter")
    page.get_by_text("120 matches").first.wait_for()
    keys.press("/")
    page.keyboard.type("blue")
    keys.press("Enter")
    page.get_by_text("40 matches").first.wait_for()
    keys.to("Clear the filter", "button")
    keys.press("Enter")
    page.get_by_text("120 matches").first.wait_for()
    page.evaluate("document.activeElement.blur()")
    keys.press("j", "j", "x")
    page.get_by_text("1 marked").wait_for()
    keys.press("Enter")
    page.get_by_role("button", name="Edit", exact=True).wait_for()
    keys.press("e")
    keys.to("Value of kind", "textarea")
    keys.press("Control+a")
    page.keyboard.type("green")
    keys.to("Review the changes", "button")
    keys.press("Enter")
    page.get_by_role("dialog").wait_for()
    keys.to("Save", "button")
    keys.press("Enter")
    page.get_by_role("dialog").wait_for(state="detached")
    assert things.get(ids=["t001"])["metadatas"][0]["kind"] == "green"
    page.get_by_text("Saved.").first.wait_for()
    page.evaluate("document.activeElement.blur()")
    keys.press("g", "m")
    page.locator("canvas[data-drawn]").wait_for()
    keys.to("Map of 120 records", "canvas")
    keys.press("+", "ArrowLeft", "0")
    keys.press("g", "s")
    page.get_by_role("heading", name="Search").wait_for()
    keys.press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()
    keys.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.tagName") != "DIALOG"
