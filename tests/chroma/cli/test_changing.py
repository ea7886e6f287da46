"""`create`, `rename`, `update`, `rm`, `sample`, `describe`, `recall`."""

from __future__ import annotations

from pathlib import Path

import pytest

import chroma

from .running import read, run


def test_a_collection_from_its_making_to_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    made = run("create", folder, "notes", "--space", "cosine", "--vectors-only", "--metadata", '{"a": 1}')
    assert made.exit_code == 0 and "a new database" in made.stdout
    with chroma.PersistentClient(folder) as client:
        notes = client.get_collection("notes")
        assert notes.configuration_json["hnsw"]["space"] == "cosine" and notes.metadata == {"a": 1}
        with pytest.raises(chroma.errors.InvalidArgumentError, match="embedding function"):
            notes.add(ids=["a"], documents=["text"])
        id = str(notes.id)
    again = run("create", folder, "notes")
    assert again.exit_code == 6 and "give --if-missing" in again.stderr
    assert read("create", folder, "notes", "--if-missing") == {"collection": "notes", "id": id}
    assert read("rename", folder, "notes", "books") == {"collection": "books", "before": "notes"}
    assert run("rename", folder, "notes", "books").exit_code == 3
    assert read("rm", folder, "books", "--yes") == {"collection": "books", "deleted": 0, "dropped": True}
    assert read("ls", folder)["collections"] == []


def test_rm_asks(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run("rm", database, "notes")
    assert refused.exit_code == 2 and "with 3 records?" in refused.stderr and "--yes" in refused.stderr
    assert run("rm", database, "nots", "--yes").exit_code == 3
    assert read("count", database, "notes")["count"] == 3


def test_records_are_deleted(target: str) -> None:
    assert run("rm", target, "notes", "a", "nobody", "--yes").exit_code == 3
    assert read("count", target, "notes")["count"] == 3
    assert read("rm", target, "notes", "a", "--yes") == {
        "collection": "notes",
        "deleted": 1,
        "dropped": False,
    }
    assert read("rm", target, "notes", "--where", '{"n": 2}', "--yes")["deleted"] == 1
    assert [each["id"] for each in read("get", target, "notes")["records"]] == ["b"]
    assert "deleted notes with 1 record" in run("rm", target, "notes", "-y").stdout


def test_a_filter_whose_key_no_record_has(target: str) -> None:
    for command in (["rm", target, "notes", "--yes"], ["update", target, "notes", "--set", "a=1"]):
        refused = run(*command, "--where", "m <> 5")
        assert refused.exit_code == 2 and "'m'" in refused.stderr and "ive --missing-ok" in refused.stderr
    assert read("count", target, "notes")["count"] == 3
    assert (
        read("rm", target, "notes", "--where", '{"m": {"$ne": 5}}', "--yes", "--missing-ok")["deleted"] == 3
    )


def test_records_are_changed(target: str) -> None:
    changes = ["--set", "n=5", "--set", 'zip="012"', "--set", "t=some text", "--set", "ok=true"]
    assert read("update", target, "notes", "a", "b", *changes)["updated"] == 2
    assert (
        read("update", target, "notes", "--where", '{"n": 5}', "--unset", "t", "--set", "l=[1, 2]")["updated"]
        == 2
    )
    first, second, third = read("get", target, "notes")["records"]
    assert first["metadata"] == second["metadata"] == {"n": 5, "zip": "012", "ok": True, "l": [1, 2]}
    assert third["metadata"] == {"n": 2, "tags": ["x", "y"]}
    assert "updated 3 records of notes" in run("update", target, "notes", "--all", "--unset", "n").stdout
    missing = run("update", target, "notes", "a", "nobody", "--set", "n=1")
    assert missing.exit_code == 3 and "'nobody'" in missing.stderr


def test_a_document_is_changed(database: Path) -> None:
    assert run("create", database, "texts").exit_code == 0
    with chroma.PersistentClient(database) as client:
        client.get_collection("texts").add(ids=["a"], documents=["bread"])
    assert run("update", database, "texts", "a", "--document", "a car").exit_code == 0
    found = read("query", database, "texts", "--text", "a car", "--json")["queries"][0]["records"][0]
    assert found["document"] == "a car" and found["distance"] < 1e-5


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a"], "say what to change"),
        (["--set", "n=1"], "say which records"),
        (["a", "--all", "--set", "n=1"], "say which records"),
        (["a", "--set", "n"], "expected KEY=VALUE"),
        (["a", "--set", "n=null"], "--unset n"),
        (["a", "b", "--document", "x"], "one ID"),
    ],
)
def test_what_cannot_be_changed(database: Path, arguments: list[str], told: str) -> None:
    result = run("update", database, "notes", *arguments)
    assert result.exit_code == 2 and told in result.stderr


def test_sample(target: str) -> None:
    first = read("sample", target, "notes", "-n", "2", "--seed", "1")["records"]
    assert len(first) == 2 and first == read("sample", target, "notes", "-n", "2", "--seed", "1")["records"]
    assert [each["id"] for each in read("sample", target, "notes")["records"]] == ["a", "b", "c"]
    assert [each["id"] for each in read("sample", target, "notes", "--where", '{"n": 2}')["records"]] == ["c"]
    assert read("sample", target, "empty")["records"] == []


def test_describe(target: str) -> None:
    assert "notes: 3 records" in run("describe", target, "notes").stdout
    found = read("describe", target, "notes")
    assert found["records"] == 3 and found["documents"]["records"] == 2
    assert [each["key"] for each in found["keys"]] == ["n", "tags"]
    assert read("describe", target, "notes", "--where", '{"n": 1}')["records"] == 1
    assert run("describe", target, "notes", "--csv").stdout.startswith("key,types,records,")


def test_recall(target: str) -> None:
    assert run("recall", target, "notes").stdout == "1.0000\n"
    assert read("recall", target, "notes", "-k", "2", "--sample", "3") == {
        "collection": "notes", "k": 2, "sample": 3, "recall": 1.0,
    }  # fmt: skip


def test_a_key_to_remove_that_no_record_has_gives_a_warning(target: str) -> None:
    said = run("update", target, "notes", "--all", "--unset", "nn", "--set", "x=1")
    assert "no record has the metadata key 'nn'; the nearest is 'n'" in said.stderr
