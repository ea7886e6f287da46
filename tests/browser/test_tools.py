"""Duplicates, Quality, SQL, Server, export, and a page whose route is missing."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from .conftest import LARGE, Console


def test_sql_with_exact_integers(console: Console, things: Any, needs: Callable[[str], None]) -> None:
    needs("/chroma-arrow/sql")
    page = console.open("sql")
    page.get_by_role("button", name="things", exact=True).click()
    page.get_by_label("Statement").fill(
        "SELECT kind, max(large) AS most FROM things GROUP BY kind ORDER BY kind"
    )
    page.keyboard.press("Control+Enter")
    page.get_by_role("cell", name=str(LARGE + 119)).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    with open(download.value.path(), newline="", encoding="utf-8") as file:
        assert list(csv.reader(file))[1] == ["blue", str(LARGE + 117)]


def test_duplicates_go_onto_a_list(console: Console, things: Any, needs: Callable[[str], None]) -> None:
    needs("/chroma-arrow/pairs")
    vector = things.get(ids=["t003"], include=["embeddings"])["embeddings"]
    things.add(ids=["twin"], embeddings=vector, documents=["A twin."])
    page = console.open("duplicates", "things", max="0.0001")
    page.get_by_text("1 pairs").wait_for()
    page.locator("section", has=page.get_by_role("link", name="twin")).last.get_by_label("Delete").check()
    page.locator(".marked").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete 1 records").click()
    page.get_by_text("0 pairs").wait_for()
    assert things.get(ids=["twin", "t003"])["ids"] == ["t003"]


def test_quality_measures_recall(console: Console, things: Any) -> None:
    page = console.open("quality", "things")
    page.get_by_role("button", name="Measure").click()
    page.get_by_text("Recall@10 is 1").first.wait_for()


def test_recall_by_ef_search(console: Console, things: Any) -> None:
    page = console.open("quality", "things")
    page.get_by_role("button", name="Recall and time by ef_search").click()
    page.get_by_role("rowheader", name="256").wait_for()
    assert page.get_by_role("row").filter(has=page.get_by_role("rowheader")).count() == 5


def test_lengths_of_documents(console: Console, things: Any) -> None:
    page = console.open("keys", "things", key="#document")
    page.get_by_text("120 records have a document").wait_for()
    page.get_by_text("0 % are longer than the").wait_for()


def test_a_bar_may_lead_to_the_map(console: Console, things: Any) -> None:
    page = console.open("keys", "things", key="kind")
    page.get_by_label("Bars lead to").select_option("map")
    page.get_by_role("link", name="blue", exact=True).click()
    page.get_by_text("40 records").wait_for()


def test_keep_one_of_two(console: Console, things: Any) -> None:
    things.add(ids=["twin"], embeddings=things.get(ids=["t003"], include=["embeddings"])["embeddings"])
    page = console.open("duplicates", "things", max="0.0001")
    left = page.locator("article section a").first.inner_text()
    page.get_by_role("button", name="Keep left").click()
    assert page.locator("section.doomed a").inner_text() != left
    page.get_by_role("button", name="Keep both").click()
    assert page.locator("section.doomed").count() == 0
    page.get_by_role("button", name="Keep right").click()
    assert page.locator("section.doomed a").inner_text() == left
    page.get_by_label("Distance at most").fill("0.0002")
    page.get_by_role("button", name="Find pairs").click()
    page.locator("section.doomed").wait_for(state="detached")  # the list belonged to other pairs


def test_sql_columns_and_chart(console: Console, things: Any) -> None:
    page = console.open("sql", sql="SELECT kind, n, n * 2 AS twice FROM things ORDER BY n LIMIT 3")
    page.get_by_text("Columns of things").click()
    page.get_by_text('"large"').wait_for()
    page.locator("summary", has_text="Chart: twice by kind").click()
    page.get_by_label("Length of a bar").select_option(label="n")
    page.get_by_text("Chart: n by kind").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Arrow (all rows)").click()
    assert pa.ipc.open_stream(download.value.path()).read_all().num_rows == 3


def test_hits_have_pages_and_a_limit(console: Console, things: Any) -> None:
    page = console.open("search", "things", like="t001", n="5")
    page.locator(".hits li").nth(4).wait_for()
    first = [each.get_attribute("data-id") for each in page.locator(".hits li").all()]
    page.get_by_role("button", name="Next").click()
    page.locator(".hits li b", has_text="10").wait_for()
    second = [each.get_attribute("data-id") for each in page.locator(".hits li").all()]
    assert [*first, *second] == things.query(query_ids=["t001"], n_results=10)["ids"][0]
    page.get_by_label("Distance at most").fill("0.0000001")
    page.keyboard.press("Tab")
    page.get_by_text("0 results").first.wait_for()


def test_export_of_the_filter(console: Console, things: Any, needs: Callable[[str], None]) -> None:
    needs("/chroma-arrow/state")  # came with the formats
    page = console.open("io", "things", where='{"n":{"$lt":2}}')
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    with open(download.value.path(), encoding="utf-8") as file:
        assert [json.loads(line)["id"] for line in file] == ["t000", "t001"]


def test_server_and_help(console: Console, needs: Callable[[str], None]) -> None:
    needs("/chroma-arrow/state")
    console.open("server").get_by_text("Running for").wait_for()
    page = console.open("help")
    page.get_by_label("Find").fill("heartbeat")
    page.locator("summary", has_text="GET /api/v2/heartbeat").click()
    page.get_by_role("button", name="Send").click()
    page.locator("pre", has_text="nanosecond heartbeat").wait_for()


def test_a_page_without_its_route_says_so(console: Console, things: Any) -> None:
    console.page.route("**/chroma-arrow/projection", lambda route: route.fulfill(status=404, body=""))
    console.open("map", "things").get_by_text("This server does not offer this (Map)").wait_for()
    console.said[:] = [text for text in console.said if "404" not in text]


def test_a_server_that_is_gone(console: Console, things: Any) -> None:
    page = console.open("data", "things")
    page.route("**/get", lambda route: route.abort())
    page.get_by_role("button", name="Reload").click()
    page.get_by_text("The server does not answer.").wait_for()
    console.said[:] = [text for text in console.said if "ERR_FAILED" not in text]
