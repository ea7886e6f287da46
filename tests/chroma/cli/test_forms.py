"""The forms of output: CSV, TSV, JSON lines, one record below the other."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.cli.output import print_rows

from .running import run

TRICKY = [
    "007",
    "1e5",
    "true",
    " a",
    "a ",
    "",
    'a "b"',
    "a,b",
    "a\tb",
    "a\nb",
    "-",
    "1-2",
    "plain text",
    "inf",
]


def said(*arguments: str | Path) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def table_of(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def test_records_as_csv(target: str) -> None:
    options = ["--include", "documents", "--include", "metadatas", "--include", "uris"]
    text = said("get", target, "notes", *options, "--csv")
    assert table_of(text) == [
        ["id", "document", "n", "tags", "uri"],
        ["a", "red\napple", "1", "", ""],
        ["b", "", "", "", "file:b"],
        ["c", "green apple", "2", '["x", "y"]', ""],
    ]
    assert table_of(said("get", target, "notes", *options, "--tsv"), "\t") == table_of(text)


def test_csv_of_get_can_be_imported(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with chroma.PersistentClient(database) as client:
        odd = client.create_collection("odd", embedding_function=None)
        ids = [f"i{number}" for number in range(len(TRICKY))]
        odd.add(ids=ids, embeddings=[[1, 2]] * len(ids), metadatas=[{"t": text, "f": 2.0} for text in TRICKY])
        expected = odd.get()["metadatas"]
    text = said("get", database, "odd", "--all", "--csv", "--include", "metadatas", "--include", "embeddings")
    again = run("import", database, "again", "-", "--format", "csv", "--create", input=text)
    assert again.exit_code == 0, again.output
    with chroma.PersistentClient(database) as client:
        found = client.get_collection("again", embedding_function=None).get()["metadatas"]
    assert found == expected
    assert [type(entry["f"]) for entry in found or []] == [float] * len(TRICKY)


def test_a_key_named_like_a_column(database: Path) -> None:
    with chroma.PersistentClient(database) as client:
        odd = client.create_collection("odd", embedding_function=None)
        odd.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"id": "inner", "document": "x"}])
    assert table_of(said("get", database, "odd", "--csv")) == [
        ["id", "document", "metadata.id", "metadata.document"],
        ["a", "", "inner", "x"],
    ]


def test_json_lines(target: str) -> None:
    lines = [json.loads(line) for line in said("get", target, "notes", "--nl").splitlines()]
    assert lines[2] == {"id": "c", "document": "green apple", "metadata": {"n": 2, "tags": ["x", "y"]}}
    lines = [json.loads(line) for line in said("ls", target, "--nl").splitlines()]
    assert [line["name"] for line in lines] == ["notes", "empty"]


def test_one_record_below_the_other(target: str) -> None:
    assert said("get", target, "notes", "a", "c", "--column") == (
        "id        a\ndocument  red\n          apple\nn         1\ntags      -\n\n"
        'id        c\ndocument  green apple\nn         2\ntags      ["x", "y"]\n'
    )


def test_queries_and_searches(target: str) -> None:
    vectors = ["--embedding", "[1, 0, 0, 0]", "--embedding", "[0, 1, 0, 0]"]
    rows = table_of(said("query", target, "notes", *vectors, "-n", "1", "--csv", "--include", "documents"))
    assert rows[0] == ["query", "rank", "id", "distance", "document"]
    assert [row[:3] for row in rows[1:]] == [["0", "1", "a"], ["1", "1", "b"]]
    assert rows[1][3] == "0.0"
    rows = table_of(said("search", target, "notes", "--limit", "2", "--csv"))
    assert rows[0][:3] == ["search", "rank", "id"] and [row[2] for row in rows[1:]] == ["a", "b"]
    rows = table_of(said("search", target, "notes", "--select", "n", "--csv"))
    assert rows[0] == ["search", "rank", "id", "n"]


def test_info(target: str) -> None:
    header, first, second = table_of(said("info", target, "--csv"))
    assert header[:3] == ["tenant", "database", "name"] and "files" not in header
    assert (first[2], second[2]) == ("notes", "empty")


def test_hints_are_no_part_of_the_output(database: Path) -> None:
    result = run("get", database, "notes", "--limit", "1")
    assert "1 of 3 records" in result.stderr and "of 3 records" not in result.stdout
    assert run("get", database, "notes", "--limit", "1", "--csv").stderr == ""


def test_two_forms_at_once(database: Path) -> None:
    result = run("ls", database, "--json", "--csv")
    assert result.exit_code == 2 and "two forms of output" in result.stderr


def test_the_cells_of_csv(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [{"a": value} for value in (None, True, 1, 2.0, [1], {"b": 1}, *TRICKY)]
    print_rows("csv", ["a"], rows)
    lines = capsys.readouterr().out.split("\n", 7)
    assert lines[:7] == ["a", "", "true", "1", "2.0", "[1]", '"{""b"": 1}"']
    assert [row[0] if row else "" for row in table_of(lines[7])] == TRICKY
    assert lines[7].startswith('"007"\n"1e5"\n"true"\n" a"\n')
    assert "\nplain text\n" in lines[7] and "\n1-2\n" in lines[7]
