"""Data that pages find hard: markup, right to left, megabytes, thousands of keys, one and many dimensions.

Collections and servers go away meanwhile, too.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..support import server
from .conftest import LARGE, MARKUP, Console

HEBREW = "שלום עולם \u202egnirts a"
PAGES = ["data", "keys", "map", "search", "duplicates", "quality", "io"]
PARAMS = {"like": "a", "max": "0.5", "two": "1"}


@pytest.fixture
def hard(client: Any) -> Any:
    made = client.get_or_create_collection("hard", embedding_function=None)
    yield made
    client.delete_collection("hard")


def every_page(console: Console) -> None:
    for page in PAGES:
        console.open(page, "hard", **PARAMS).wait_for_load_state("networkidle")
        assert console.page.get_by_role("alert").count() == 0, page


def test_right_to_left_text(console: Console, hard: Any) -> None:
    hard.add(
        ids=["a", HEBREW],
        embeddings=[[1, 0], [0, 1]],
        documents=[HEBREW] * 2,
        metadatas=[{HEBREW: HEBREW}] * 2,
    )
    every_page(console)
    page = console.open("data", "hard")
    page.get_by_role("link", name=HEBREW).click()
    box = page.locator("div.text[dir=auto]")
    assert box.evaluate("(each) => getComputedStyle(each).direction") == "rtl"


def test_documents_of_a_megabyte(console: Console, hard: Any) -> None:
    text = "word " * 200_000 + MARKUP
    hard.add(ids=["a", "b"], embeddings=[[1, 0], [0.9, 0.1]], documents=[text, text + "."])
    every_page(console)
    page = console.open("data", "hard")
    assert len(page.locator("table.data").inner_text()) < 5000
    page.get_by_role("link", name="a", exact=True).click()
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("textbox", name="Document", exact=True).fill(text + "!")
    page.get_by_role("button", name="Review the changes").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").wait_for(state="detached")
    assert hard.get(ids=["a"])["documents"] == [text + "!"]


def test_five_thousand_keys(console: Console, hard: Any) -> None:
    keys = {f"key{n:04}": n for n in range(5000)}
    hard.add(
        ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[keys, {"constructor": 1, "__proto__": "p"}]
    )
    every_page(console)
    page = console.open("data", "hard")
    assert page.get_by_role("columnheader").count() < 12
    page = console.open("keys", "hard")
    page.get_by_text("5,002 keys").wait_for()
    assert page.locator(".facets summary").count() == 100
    page = console.open("data", "hard", cols="constructor,__proto__")
    row = page.locator("table.data tbody tr").first
    assert row.get_by_role("button").count() == 0  # the first record has neither of them


@pytest.mark.parametrize("dimension", [1, 4096])
def test_dimensions(console: Console, hard: Any, dimension: int) -> None:
    vectors = np.random.default_rng(1).normal(size=(30, dimension)).astype("f4")
    hard.add(
        ids=["a", *(f"v{n}" for n in range(29))], embeddings=vectors, metadatas=[{"n": n} for n in range(30)]
    )
    every_page(console)
    console.open("map", "hard").locator("canvas[data-drawn]").wait_for()
    page = console.open("record", "hard", id="a")
    page.get_by_text(f"{dimension} dimensions, norm").first.wait_for()


def test_integers_of_64_bits(console: Console, hard: Any) -> None:
    hard.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"n": -(2**63)}, {"n": 2**63 - 1}])
    every_page(console)
    page = console.open("data", "hard")
    page.get_by_role("button", name=str(2**63 - 1), exact=True).click()
    page.get_by_role("button", name="Only records with it").click()
    page.get_by_text("1 matches").first.wait_for()
    assert LARGE < 2**63


def test_an_empty_collection(console: Console, hard: Any) -> None:
    for page in PAGES:
        console.open(page, "hard").wait_for_load_state("networkidle")
        assert console.page.get_by_role("alert").count() == 0, page


def test_a_deleted_collection_and_record(console: Console, client: Any, things: Any) -> None:
    page = console.open("data", "things")
    page.get_by_text("120 matches").first.wait_for()
    things.delete(ids=["t000"])
    page.get_by_role("link", name="t000").click()
    page.get_by_text("There is no record t000.").wait_for()
    client.delete_collection("things")
    page = console.page
    page.go_back()
    page.get_by_role("alert").first.wait_for()
    page.get_by_role("link", name="Chroma console").click()
    page.get_by_role("heading", name="Overview").wait_for()
    client.get_or_create_collection("things")
    console.said[:] = [text for text in console.said if "404" not in text]


def test_a_server_that_dies_and_comes_back(browser: Any, tmp_path: Path) -> None:
    running = server.start(tmp_path)
    context = browser.new_context()
    console = Console(context.new_page(), running.url)
    page = console.open("overview")
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    page.get_by_role("button", name="Reload").click()
    page.get_by_text("The server does not answer.").wait_for()
    again = server.start(tmp_path, port=int(running.url.rsplit(":", 1)[1]))
    page.get_by_role("button", name="Reload").click()
    page.get_by_role("button", name="Create a collection").wait_for()
    context.close()
    assert server.ended(again) == 0
