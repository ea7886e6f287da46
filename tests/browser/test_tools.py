"""Duplicates, Quality, SQL, Server, export, and a page whose route is missing."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import Any

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
