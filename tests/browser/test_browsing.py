"""Looking: overview, data, record, search, keys, map, and pages without their route."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import LARGE, MARKUP, Console


def rows(page: Any) -> Any:
    return page.locator("table.data tbody tr")


def test_the_overview_leads_to_the_data(console: Console, things: Any, needs: Callable[[str], None]) -> None:
    needs("/chroma-arrow/tree")
    page = console.open("overview")
    page.get_by_role("link", name="things", exact=True).click()
    page.get_by_text("120 matches").first.wait_for()
    assert "/c/things/data" in page.url and rows(page).count() == 50


def test_a_click_on_a_value_filters(console: Console, things: Any) -> None:
    page = console.open("data", "things")
    page.get_by_role("button", name="blue", exact=True).first.click()
    page.get_by_role("button", name="Only records with it").click()
    page.get_by_text("40 matches").first.wait_for()
    assert "where=" in page.url
    page.reload()
    page.get_by_text("40 matches").first.wait_for()  # the address holds the filter
    page.get_by_role("button", name="Remove the condition on kind").click()
    page.get_by_text("120 matches").first.wait_for()


def test_conditions_words_and_json(console: Console, things: Any) -> None:
    page = console.open("data", "things")
    page.get_by_label("Key", exact=True).fill("n")
    page.get_by_label("Operator").select_option("$gte")
    page.get_by_role("textbox", name="Value", exact=True).fill("60")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("60 matches").first.wait_for()
    page.get_by_role("searchbox", name="Documents").fill("blue")
    page.get_by_role("searchbox", name="Documents").press("Enter")
    page.get_by_text("20 matches").first.wait_for()
    page.locator("details summary", has_text="JSON").click()
    page.get_by_label("Filter as JSON").fill(json.dumps({"large": LARGE + 63}))
    page.locator("details").get_by_role("button", name="Apply").click()
    page.get_by_text("1 matches").first.wait_for()  # not rounded to its neighbours
    page.get_by_role("link", name="t063", exact=True).wait_for()


def test_sort_pages_and_columns(console: Console, things: Any) -> None:
    page = console.open("data", "things", rows="25")
    page.get_by_role("button", name="n", exact=True).click()
    page.get_by_role("button", name="n ↑").click()
    page.get_by_role("link", name="t119").wait_for()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("link", name="t094").wait_for()
    page.go_back()
    page.get_by_role("link", name="t119").wait_for()
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("button", name="Hide large").click()
    page.get_by_role("dialog").get_by_role("button", name="Apply").click()
    page.get_by_role("columnheader", name="large").wait_for(state="detached")


def test_search_by_record_and_vector(console: Console, things: Any) -> None:
    page = console.open("record", "things", id="t007")
    page.get_by_role("link", name="Similar records").click()
    page.locator(".hits li").first.wait_for()
    like = page.locator(".hits li a[href*='id=']").first.inner_text()
    vector = things.get(ids=["t007"], include=["embeddings"])["embeddings"][0]
    assert [like] == things.query(query_ids=["t007"], n_results=1)["ids"][0]
    page = console.open("search", "things", vector=json.dumps([float(each) for each in vector]), two="1")
    page.get_by_text("10 in both").first.wait_for()
    assert page.locator(".hits li").count() == 20


def test_search_by_text_tells_when_the_server_cannot(
    console: Console, client: Any, needs: Callable[[str], None]
) -> None:
    needs("/chroma-arrow/embed")
    client.get_or_create_collection("plain", embedding_function=None).add(ids=["a"], embeddings=[[1, 2, 3]])
    page = console.open("search", "plain", q="red")
    page.get_by_role("alert").get_by_text("cannot embed").wait_for()
    assert any("409" in text for text in console.said)  # the browser itself reports the status
    console.said.clear()


def test_a_bar_of_a_key_becomes_a_filter(console: Console, things: Any) -> None:
    page = console.open("keys", "things")
    page.locator("summary", has_text="kind").click()
    page.get_by_role("link", name="red", exact=True).click()
    page.get_by_text("80 matches").first.wait_for()


def test_the_map_draws_and_selects(console: Console, things: Any, needs: Callable[[str], None]) -> None:
    needs("/chroma-arrow/projection")
    page = console.open("map", "things", colour="kind")
    page.locator("canvas[data-drawn]").wait_for()
    page.locator(".legend").get_by_text("red").wait_for()
    page.wait_for_timeout(200)
    page.get_by_role("button", name="Select with a lasso").click()
    box = page.locator("canvas.over").bounding_box()
    corners = [(1, 1), (box["width"] - 2, 1), (box["width"] - 2, box["height"] - 2), (1, box["height"] - 2)]
    page.mouse.move(box["x"] + 1, box["y"] + 1)
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=3)
    page.mouse.up()
    page.get_by_role("button", name="Show 120 in Data").click()
    page.get_by_text("Only records that were selected on the map").wait_for()
    page.get_by_text("120 matches").first.wait_for()
    page.get_by_role("button", name="n", exact=True).click()
    page.get_by_role("button", name="n ↑").click()
    page.get_by_role("link", name="t119").wait_for()  # sorted over the whole selection
    page.get_by_role("button", name="blue", exact=True).first.click()
    page.get_by_role("button", name="Only records with it").click()
    page.get_by_text("40 matches").first.wait_for()
    things.add(ids=["outside"], embeddings=[[0.0] * 8], metadatas=[{"kind": "blue"}])
    page.get_by_role("button", name="Delete what matches").click()
    page.get_by_label("Type 40 to confirm").fill("40")
    page.get_by_role("button", name="Delete 40 records").click()
    page.get_by_text("40 records deleted.").wait_for()
    assert things.get(ids=["outside"])["ids"] == ["outside"]  # it was not in the selection
    link = page.url
    other = page.context.new_page()
    other.goto(link)
    other.get_by_text("The selection is not here any more").first.wait_for()


@pytest.mark.parametrize("page", ["map", "duplicates", "quality", "io", "keys", "search", "data"])
def test_hostile_names_are_text(console: Console, client: Any, page: str) -> None:
    made = client.get_or_create_collection("hostile")
    made.upsert(
        ids=[MARKUP, "a/b%20c?d#e"],
        embeddings=[[1, 0], [0, 1]],
        documents=[f"<script>alert(1)</script>{MARKUP}", "javascript:alert(1)"],
        metadatas=[{MARKUP: MARKUP, "n": 2**63 - 1}, {"n": -(2**63)}],
        uris=["javascript:alert(1)", None],
    )
    opened = console.open(page, "hostile", like="a/b%20c?d#e", max="2", key=MARKUP)
    opened.wait_for_timeout(300)
    assert opened.locator("main img, main script").count() == 0
    if page == "data":
        opened.get_by_role("link", name=MARKUP).click()
        opened.get_by_text(f"<script>alert(1)</script>{MARKUP}").wait_for()
        assert opened.locator("a[href^='javascript']").count() == 0
        opened.go_back()
        opened.get_by_role("link", name="a/b%20c?d#e").click()
        opened.get_by_text(str(-(2**63))).first.wait_for()
    console.said[:] = [text for text in console.said if "404" not in text]  # a route that is not there yet


def test_theme_stays_and_keys_work(console: Console, things: Any) -> None:
    page = console.open("data", "things")
    page.get_by_label("Colours").select_option("contrast")
    page.reload()
    page.locator("html[data-theme=contrast]").wait_for()
    rows(page).first.wait_for()
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.get_by_text("1 marked").wait_for()
    page.locator("main").focus()
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keyboard").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.keyboard.press("g")
    page.keyboard.press("q")
    page.get_by_role("heading", name="Quality").wait_for()


def test_few_requests_for_the_first_page(console: Console, things: Any) -> None:
    page = console.open("data", "things")
    rows(page).first.wait_for()
    files = [each for each in console.requests if "/console/" in each]
    assert len(files) <= 12, files
