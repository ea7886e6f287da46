"""Nothing is lost or damaged: imports row by row, edits of the right record, questions before changes."""

from __future__ import annotations

import json
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from .conftest import MARKUP, Console

VECTOR = [1, 2, 3, 4, 5, 6, 7, 8]


def line(number: int, **more: Any) -> str:
    return json.dumps({"id": f"n{number:04}", "document": f"number {number}", "embedding": VECTOR, **more})


def imported(console: Console, collection: str, file: Path, said: str, way: str = "add") -> Any:
    page = console.open("io", collection)
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_label("Stored ids").select_option(way)
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text(said).first.wait_for()
    return page


def rejects(page: Any) -> list[Any]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download them").click()
    return [json.loads(each) for each in Path(download.value.path()).read_text("utf-8").splitlines()]


def test_fields_that_come_late_are_kept(console: Console, things: Any, tmp_path: Path) -> None:
    lines = [line(n, metadata={"n": n}) for n in range(30)]
    lines += [line(30, metadata={"late": "x"}, later=7), line(31, uri="https://example.org/a")]
    (tmp_path / "late.jsonl").write_text("\n".join(lines), "utf-8")
    page = imported(console, "things", tmp_path / "late.jsonl", "32 added, 0 updated, 0 skipped, 0 refused.")
    page.get_by_text("Found after the preview: late (metadata), later (metadata), uri (uri).").wait_for()
    found = things.get(ids=["n0030", "n0031"], include=["metadatas", "uris"])
    assert found["metadatas"] == [{"late": "x", "later": 7}, None] and found["uris"][1]


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_an_export_comes_back_as_it_was(console: Console, client: Any, tmp_path: Path, format: str) -> None:
    made = client.get_or_create_collection("round", embedding_function=None)
    metadatas = [{"id": "not the id", "document": 1, "text": "t", "list": ["a", "b"], "whole": 2.0}, {"n": 1}]
    made.upsert(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], documents=["A", None], metadatas=metadatas)
    page = console.open("io", "round")
    page.get_by_label("Format").select_option(format)
    page.get_by_label("with vectors").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export", exact=True).click()
    file = tmp_path / f"round.{format}"
    download.value.save_as(file)
    copy = client.get_or_create_collection("copy", embedding_function=None)
    imported(console, "copy", file, "2 added, 0 updated, 0 skipped, 0 refused.", "upsert")
    everything = ["documents", "metadatas", "embeddings"]
    one, other = made.get(include=everything), copy.get(include=everything)
    assert (one.pop("embeddings") == other.pop("embeddings")).all()
    assert one["ids"] == other["ids"] and one["documents"][0] == other["documents"][0]
    assert json.dumps(one["metadatas"]) == json.dumps(other["metadatas"])
    for name in ("round", "copy"):
        client.delete_collection(name)


def test_texts_are_embedded_in_small_steps_and_given_vectors_kept(
    console: Console, client: Any, tmp_path: Path, needs: Callable[[str], None]
) -> None:
    needs("/chroma-arrow/embed")
    made = client.get_or_create_collection("texts")
    given = [0.5] * 384
    lines = [json.dumps({"id": f"t{n}", "document": f"text {n}"}) for n in range(250)]
    lines[7] = json.dumps({"id": "t7", "document": "text 7", "embedding": given})
    (tmp_path / "texts.jsonl").write_text("\n".join(lines), "utf-8")
    imported(console, "texts", tmp_path / "texts.jsonl", "250 added, 0 updated, 0 skipped, 0 refused.")
    assert made.get(ids=["t7"], include=["embeddings"])["embeddings"][0].tolist() == given
    assert made.count() == 250
    client.delete_collection("texts")


def test_bad_rows_are_rejects_and_all_others_are_stored(
    console: Console, things: Any, tmp_path: Path
) -> None:
    lines = [line(n) for n in range(300)]
    lines[150] = line(150, metadata={"nested": {"a": 1}})  # the server refuses it
    lines[151] = line(151, embedding=[1, 2])
    lines[30] = "{not json"
    lines[31] = "[1]"
    lines[32] = line(33)  # an id that comes twice
    (tmp_path / "bad.jsonl").write_text("\n".join(lines), "utf-8")
    page = imported(console, "things", tmp_path / "bad.jsonl", "295 added, 0 updated, 0 skipped, 5 refused.")
    page.get_by_text("5 rows were refused.").wait_for()
    assert sorted(each["line"] for each in rejects(page)) == [31, 32, 34, 151, 152]
    assert things.count() == 120 + 295
    console.said.clear()  # the browser itself reports the refused calls


def test_a_list_in_one_line(console: Console, things: Any, tmp_path: Path) -> None:
    records = [json.loads(line(n, metadata={"text": 'a "]," b'})) for n in range(2000)]
    (tmp_path / "list.json").write_text(json.dumps(records), "utf-8")
    imported(console, "things", tmp_path / "list.json", "2,000 added, 0 updated, 0 skipped, 0 refused.")
    assert things.get(ids=["n1999"])["metadatas"] == [{"text": 'a "]," b'}]


def test_cells_that_are_too_many_or_open_are_rejects(console: Console, things: Any, tmp_path: Path) -> None:
    text = 'id,embedding,note\na,"[1,2,3,4,5,6,7,8]",x\nb,"[1,2,3,4,5,6,7,8]",x,y\nc,"[1,2,3,4,5,6,7,8]","x\n'
    (tmp_path / "cells.csv").write_text(text, "utf-8")
    page = imported(console, "things", tmp_path / "cells.csv", "1 added, 0 updated, 0 skipped, 2 refused.")
    assert ["4 cells" in rejects(page)[0]["error"], "quote" in rejects(page)[1]["error"]] == [True, True]


def test_what_was_written_before_a_failure_is_told(console: Console, things: Any, tmp_path: Path) -> None:
    (tmp_path / "many.jsonl").write_text("\n".join(line(n) for n in range(500)), "utf-8")
    calls = []

    def fail_second(route: Any) -> None:
        calls.append(1)
        route.continue_() if len(calls) == 1 else route.fulfill(status=507, json={"message": "disk full"})

    console.page.route("**/add", fail_second)
    said = "What was written stays: 200 added"
    page = imported(console, "things", tmp_path / "many.jsonl", said)
    page.get_by_role("alert").get_by_text("disk full").wait_for()
    console.said.clear()


def test_an_edit_stays_with_its_record(console: Console, things: Any) -> None:
    page = console.open("record", "things", id="t001")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Value of kind").fill("of the first")
    page.evaluate("location.hash = location.hash.replace('t001', 't002')")
    page.get_by_role("heading", name="t002").wait_for()
    page.get_by_role("button", name="Edit", exact=True).click()
    assert page.get_by_label("Value of kind").input_value() == "red"
    things.update(ids=["t002"], embeddings=[VECTOR])  # a new vector is a change by others, too
    page.get_by_label("Value of kind").fill("green")
    page.get_by_role("button", name="Review the changes").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Somebody else has changed this record").wait_for()


def test_a_write_ends_although_its_dialog_is_closed(console: Console, things: Any) -> None:
    page = console.open("data", "things", where='{"kind":"blue"}')
    held = threading.Event()
    page.route("**/delete", lambda route: (page.wait_for_timeout(400), route.continue_(), held.set()))
    page.get_by_role("button", name="Delete what matches").click()
    page.get_by_label("Type 40 to confirm").fill("40")
    page.get_by_role("button", name="Delete 40 records").click()
    page.keyboard.press("Escape")
    page.get_by_text("40 records deleted.").wait_for()
    page.get_by_text("No record matches.").wait_for()
    assert things.count() == 80


def test_a_dialog_closes_when_the_address_changes(console: Console, things: Any) -> None:
    page = console.open("data", "things", where='{"kind":"blue"}')
    page.get_by_text("40 matches").first.wait_for()
    page.get_by_role("button", name="Delete what matches").click()
    page.get_by_role("dialog", name="Delete 40 records").wait_for()
    page.evaluate("location.hash = location.hash.replace('blue', 'red')")
    page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_text("80 matches").first.wait_for()
    assert things.count() == 120


def test_the_last_page_goes_when_its_rows_go(console: Console, things: Any) -> None:
    page = console.open("data", "things", rows="100", page="2", sort="n")
    page.get_by_role("link", name="t119").wait_for()
    things.delete(where={"n": {"$gte": 100}})
    page.get_by_role("button", name="Reload").click()
    page.get_by_role("link", name="t000").wait_for()
    assert "page=2" not in page.url


@pytest.mark.parametrize("rows", ["abc", "1000000", "-1", "0"])
def test_rows_of_the_address_have_bounds(console: Console, things: Any, rows: str) -> None:
    page = console.open("data", "things", rows=rows, page="x")
    page.get_by_text("120 matches").first.wait_for()
    assert page.locator("table.data tbody tr").count() == 50


def test_help_asks_before_it_changes(console: Console, client: Any, things: Any) -> None:
    page = console.open("help")
    page.get_by_label("Find").fill("DELETE")
    path = "/api/v2/tenants/{tenant}/databases/{database}/collections/{collection}"
    page.get_by_text(f"DELETE {path}", exact=True).click()
    form = page.locator("details[open] form")
    for name in ("tenant", "database"):
        assert form.get_by_label(name, exact=True).input_value() == ""
        form.get_by_label(name, exact=True).fill(f"default_{name}")
    form.get_by_label("collection", exact=True).fill("things")
    form.get_by_role("button", name="Send").click()
    asked = page.get_by_role("dialog", name="Send: DELETE")
    assert asked.get_by_role("button", name="Send: DELETE").is_disabled()
    assert things.count() == 120
    asked.get_by_label("Type things to confirm").fill("things")
    asked.get_by_role("button", name="Send: DELETE").click()
    asked.wait_for(state="detached")
    assert "things" not in [each.name for each in client.list_collections()]
    client.get_or_create_collection("things")


def test_parameters_of_a_query_are_sent(console: Console, things: Any) -> None:
    page = console.open("help")
    page.get_by_label("Find").fill("/collections")
    path = "/api/v2/tenants/{tenant}/databases/{database}/collections"
    page.get_by_text(f"GET {path}", exact=True).click()
    form = page.locator("details[open] form")
    form.get_by_label("limit", exact=True).fill("1")
    form.get_by_role("button", name="Send").click()
    page.locator("pre.whole").wait_for()
    assert any("/collections?limit=1" in url for url in console.requests)


def test_judgements_belong_to_their_query(console: Console, things: Any) -> None:
    page = console.open("search", "things", like="t001", n="3")
    page.get_by_role("button", name=" is relevant").first.click()
    first = page.locator("[data-id]").first.get_attribute("data-id")
    page = console.open("search", "things", like="t002", n="120")
    page.locator(f"[data-id={first}]").wait_for()
    assert page.locator("[aria-pressed=true]").count() == 0
    page.locator(f"[data-id={first}]").get_by_role("button", name="is not relevant").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download 2 judgements").click()
    text = Path(download.value.path()).read_text("utf-8")
    assert text == f"query,id,relevant\nt001,{first},1\nt002,{first},0\n"


def test_a_mode_with_words_needs_a_text(console: Console, things: Any) -> None:
    page = console.open("search", "things", like="t001", mode="hybrid", two="1", b_mode="lexical", n="5")
    page.get_by_text("5 in both").first.wait_for()
    page.locator(".links line").first.wait_for(state="attached")
    assert page.locator(".links line").count() == 5
    page.get_by_label("As a table").check()
    page.get_by_role("columnheader", name="Rank").first.wait_for()


def test_copied_code_runs_and_quotes(console: Console, client: Any) -> None:
    name = "it's; $(touch x) _"
    page = console.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    made = client.get_or_create_collection("named")
    made.upsert(ids=["a"], embeddings=[[1, 0]], metadatas=[{"k": name}])
    hostile = '[1,0], where=__import__("os").system("touch x")'
    console.open("search", "named", vector="[1, 0.5]", where=json.dumps({"k": name}))
    page.get_by_role("button", name="Copy as curl").click()
    page.get_by_text("Copied.").wait_for()
    curl = page.evaluate("navigator.clipboard.readText()")
    words = shlex.split(curl)
    assert words[4].startswith(console.url) and json.loads(words[-1])["where"] == {"k": name}
    page.get_by_role("button", name="Copy as Python").click()
    page.wait_for_timeout(100)
    code = page.evaluate("navigator.clipboard.readText()")
    space: dict[str, Any] = {}
    exec(code, space)
    assert space["found"]["ids"] == [["a"]]
    space["client"].close()
    console.open("search", "named", vector=hostile)
    page.get_by_role("button", name="Copy as Python").click()
    page.locator(".toast").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == code  # nothing was copied
    client.delete_collection("named")


def test_text_to_copy_is_shown_where_the_browser_forbids_it(console: Console, things: Any) -> None:
    console.page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page = console.open("record", "things", id="t001")
    page.get_by_role("button", name="Copy as JSON").click()
    box = page.get_by_role("dialog", name="Copy by hand").get_by_role("textbox")
    assert json.loads(box.input_value())["id"] == "t001"
    box.press("Control+c")  # it has the focus, and all of it is selected
    assert box.evaluate("(each) => each.selectionEnd - each.selectionStart === each.value.length")


def test_a_lost_drawing_comes_back(console: Console, things: Any, needs: Callable[[str], None]) -> None:
    needs("/chroma-arrow/projection")
    page = console.open("map", "things", colour="kind")
    page.locator("canvas[data-drawn]").wait_for()
    if page.locator("canvas[data-drawn]").get_attribute("data-drawn") != "webgl2":
        pytest.skip("this browser draws without WebGL2")
    lost = """new Promise((done) => {
      const canvas = document.querySelector("canvas[data-drawn]"), gl = canvas.getContext("webgl2");
      const ext = gl.getExtension("WEBGL_lose_context");
      canvas.addEventListener("webglcontextrestored", () => setTimeout(() => done(gl.isContextLost()), 200));
      ext.loseContext();
      setTimeout(() => ext.restoreContext(), 100);
    })"""
    assert page.evaluate(lost) is False
    drawn = """() => { const gl = document.querySelector("canvas[data-drawn]").getContext("webgl2");
      return gl.getParameter(gl.CURRENT_PROGRAM) !== null && gl.getError() === 0; }"""
    assert page.evaluate(drawn)


@pytest.mark.parametrize("address", ["cols=%25E0%25A4%25A", "where=%7Bnot", "sort=", "page=-3"])
def test_a_broken_address_says_so(console: Console, things: Any, address: str) -> None:
    page = console.page
    page.goto(f"{console.url}/console/#/t/default_tenant/d/default_database/c/things/keys?{address}")
    page.locator("h1, [role=alert]").first.wait_for()
    page.goto(f"{console.url}/console/#/t/default_tenant/d/default_database/c/things/data?{address}")
    page.locator("h1, [role=alert]").first.wait_for()
    page.goto(f"{console.url}/console/#/constructor/{quote(MARKUP, safe='')}")
    page.get_by_text("There is no page constructor.").wait_for()
