"""Changing: edit with the difference, conflicts, delete by filter, import."""

from __future__ import annotations

from typing import Any

from .conftest import LARGE, Console


def test_an_edit_shows_the_difference_and_keeps_types(console: Console, things: Any) -> None:
    before = things.get(ids=["t005"], include=["embeddings"])["embeddings"][0]
    page = console.open("record", "things", id="t005")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Value of large").fill(str(2**63 - 1))
    page.get_by_label("Document", exact=True).fill("Another text.")
    page.get_by_role("button", name="Review the changes").click()
    difference = page.get_by_role("dialog", name="What will change")
    difference.get_by_text(str(LARGE + 5)).wait_for()
    assert difference.locator("tbody tr").count() == 3  # the document, its vector, one key
    assert things.get(ids=["t005"])["metadatas"][0]["large"] == LARGE + 5  # nothing was saved yet
    difference.get_by_role("button", name="Save").click()
    difference.wait_for(state="detached")
    now = things.get(ids=["t005"], include=["metadatas", "documents", "embeddings"])
    assert now["documents"] == ["Another text."] and now["metadatas"][0]["large"] == 2**63 - 1
    assert repr(now["metadatas"][0]["whole"]) == "1.0" and (now["embeddings"][0] == before).all()


def test_keys_come_and_go_with_their_types(console: Console, things: Any) -> None:
    page = console.open("record", "things", id="t006")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_role("button", name="Remove n", exact=True).click()
    page.get_by_label("Type of whole").select_option("int")
    page.get_by_label("Value of whole").fill("two")
    page.get_by_role("button", name="Review the changes").click()
    page.get_by_role("alert").get_by_text("Expected a whole number").wait_for()
    page.get_by_label("Value of whole").fill("2")
    page.get_by_role("button", name="Review the changes").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").wait_for(state="detached")
    now = things.get(ids=["t006"])["metadatas"][0]
    assert "n" not in now and repr(now["whole"]) == "2"


def test_a_change_by_others_is_told(console: Console, things: Any) -> None:
    page = console.open("record", "things", id="t007")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Value of kind").fill("green")
    things.update(ids=["t007"], metadatas=[{"kind": "violet"}])
    page.get_by_role("button", name="Review the changes").click()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Somebody else has changed this record").wait_for()
    assert things.get(ids=["t007"])["metadatas"][0]["kind"] == "violet"


def test_delete_by_filter_counts_first(console: Console, things: Any) -> None:
    page = console.open("data", "things", where='{"kind":"blue"}')
    page.get_by_role("button", name="Delete what matches").click()
    asked = page.get_by_role("dialog", name="Delete 40 records")
    asked.wait_for()
    assert asked.get_by_role("button", name="Delete 40 records").is_disabled() and things.count() == 120
    asked.get_by_label("Type 40 to confirm").fill("40")
    asked.get_by_role("button", name="Delete 40 records").click()
    asked.wait_for(state="detached")
    page.get_by_text("No record matches.").wait_for()
    assert things.count() == 80


def test_import_of_csv(console: Console, things: Any, tmp_path: Any) -> None:
    file = tmp_path / "more.csv"
    file.write_text(
        "id,text,vector,price,big,note\n"
        f'c1,"two\nlines, ""quoted""","[1,2,3,4,5,6,7,8]",1.5,{LARGE},007\n'
        'c2,plain,"[8,7,6,5,4,3,2,1]",2,1,\n'
        ",no id,[1],1,1,\n",
        "utf-8",
    )
    page = console.open("io", "things")
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("2 added, 0 updated, 0 skipped, 1 refused.").first.wait_for()
    page.get_by_text("1 rows were refused.").wait_for()
    found = things.get(ids=["c1", "c2"])
    assert found["documents"] == ['two\nlines, "quoted"', "plain"]
    assert found["metadatas"] == [{"price": 1.5, "big": LARGE, "note": "007"}, {"price": 2.0, "big": 1}]
    assert repr(found["metadatas"][1]["price"]) == "2.0"


def test_import_of_json_lines(console: Console, things: Any, tmp_path: Any) -> None:
    file = tmp_path / "more.jsonl"
    file.write_text(
        '{"id":"t001","document":"new","embedding":[1,2,3,4,5,6,7,8],"metadata":{"n":9007199254740995}}\n'
        '{"id":"j2","document":"second","embedding":[1,2,3,4,5,6,7,8],"metadata":null}\n',
        "utf-8",
    )
    page = console.open("io", "things")
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_label("Stored ids").select_option("upsert")
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_text("1 added, 1 updated, 0 skipped, 0 refused.").first.wait_for()
    assert things.get(ids=["t001"])["metadatas"][0]["n"] == 9007199254740995
