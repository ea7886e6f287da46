"""`chroma import`, `chroma export` and `chroma sql`, on a folder and on a server alike."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import chroma

from ..cli.conftest import _no_variables, database, served, target
from ..cli.running import run

__all__ = ["_no_variables", "database", "served", "target"]


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "more.csv"
    path.write_text('key,text,vector,zip,pos\n007,one,"[1,2,3,4]",01234,n\n008,two,"[1,2,3,5]",99999,v\n')
    return path


MAPPED = ["--id", "key", "--document", "text", "--embedding", "vector", "--type", "zip=string"]


def test_there_and_back(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    everything = ["--all", "--include", "documents", "--include", "metadatas", "--json"]
    for name in ("a.parquet", "a.arrow", "a.jsonl.gz"):
        done = run("export", target, "notes", name, "--json")
        report = json.loads(done.stdout)
        assert (done.exit_code, report["rows"], report["files"]) == (0, 3, [str(tmp_path / name)])
        copy = [tmp_path / "new", f"copy-{name}"]
        done = run("import", *copy, name, "--create", "--space", "cosine", "--json")
        assert done.exit_code == 0, done.stderr
        report = json.loads(done.stdout)
        assert [report[key] for key in ("rows", "added", "updated", "skipped", "rejected", "resumed")] == [
            3, 3, 0, 0, 0, 0,
        ]  # fmt: skip
        got = json.loads(run("get", target, "notes", *everything).stdout)
        assert json.loads(run("get", *copy, *everything).stdout)["records"] == got["records"]
    with chroma.PersistentClient(tmp_path / "new") as client:
        assert client.get_collection("copy-a.arrow").configuration["hnsw"]["space"] == "cosine"


def test_import_of_text_files_of_all_kinds(database: Path, tmp_path: Path) -> None:
    written = {
        "a.csv": (
            "id;embedding;x\na;[1,2,3,4];'Köln;'\n".encode("cp1252"),
            ["--separator", ";", "--quoting", "'"],
        ),
        "b.csv": (
            "id\tembedding\tx\na\t[1,2,3,4]\tKöln;\n".encode("cp1252"),
            ["--separator", r"\t", "--quoting", ""],
        ),
        "c.jsonl": ('{"id": "a", "embedding": [1, 2, 3, 4], "x": "Köln;"}'.encode("cp1252"), []),
    }
    for name, (data, options) in written.items():
        (tmp_path / name).write_bytes(data)
        options = [*options, "--encoding", "cp1252", "--on-conflict", "upsert"]
        done = run("import", database, "empty", tmp_path / name, *options)
        assert done.exit_code == 0, done.stderr
        assert ("read as id string, embedding string, x string" in done.stdout) == name.endswith("csv")
        got = json.loads(run("get", database, "empty", "--json").stdout)["records"]
        assert got[0]["metadata"] == {"x": "Köln;"}


def test_import_with_all_options(target: str, csv: Path, tmp_path: Path) -> None:
    done = run("import", target, "empty", csv, *MAPPED, "--metadata", "zip", "--batch-size", "1")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("2 rows into empty: 2 added; ")
    got = json.loads(run("get", target, "empty", "--json").stdout)["records"]
    found = {row["id"]: row["metadata"] for row in got}
    assert found == {"007": {"zip": "01234"}, "008": {"zip": "99999"}}
    done = run("import", target, "empty", csv, *MAPPED, "--on-conflict", "skip", "--json")
    assert json.loads(done.stdout)["skipped"] == 2
    rejects = tmp_path / "rejects.jsonl"
    again = ["import", target, "empty", csv, *MAPPED, "--restart", "--rejects", rejects]
    done = run(*again)
    assert f"2 rejected (see {rejects})" in done.stdout
    done = run(*again, "--max-rejects", "1")
    assert done.exit_code == 2 and "more than 1 rows cannot be stored" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["import", "notes", "none.parquet"], 2, "there is no file or folder"),
        (["import", "none", "more.csv"], 3, "none"),
        (["import", "notes"], 2, "SOURCE"),
        (["import", "notes", "more.csv"], 2, "there is no column 'id'"),
        (["import", "notes", "more.csv", "--space", "l2"], 2, "--space is for --create"),
        (["import", "notes", "more.csv", "--type", "zip"], 2, "expected COLUMN=TYPE"),
        (["import", "notes", "more.csv", "--type", "zip=text"], 2, "expected an Arrow type"),
        (["import", "notes", "more.csv", "--on-conflict", "no"], 2, "--on-conflict"),
        (["import", "notes", "more.csv", "--batch-size", "0"], 2, "--batch-size"),
        (["export", "notes", "a.xlsx"], 2, "end it with"),
        (["export", "notes", "more.csv"], 2, "exists: choose another name, or give --overwrite"),
        (["export", "none", "a.parquet"], 3, "none"),
        (["export", "notes", "there.jsonl"], 2, "give --overwrite"),
        (["export", "notes", "a.parquet", "--where", "{"], 2, "is not JSON"),
        (["export", "notes", "a", "--partition-by", "none"], 2, "choose another"),
        (["sql", "delete from notes"], 2, "SELECT"),
        (["sql", "select * from none"], 3, "none"),
        (["sql", "select from"], 2, "yntax"),
        (["sql", "select 1 as a, 2 as a", "--json"], 2, "two columns are called 'a'"),
    ],
)
def test_what_goes_wrong(
    database: Path, csv: Path, arguments: list[str], code: int, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(csv.parent)
    Path("there.jsonl").write_text("")
    done = run(arguments[0], database, *arguments[1:])
    assert (done.exit_code, done.stdout) == (code, ""), done.stderr
    assert text in done.stderr


def test_ids_that_are_taken(database: Path, tmp_path: Path) -> None:
    run("export", database, "notes", tmp_path / "a.parquet")
    done = run("import", database, "notes", tmp_path / "a.parquet")
    assert done.exit_code == 6
    assert "--on-conflict 'skip'" in done.stderr


def test_export_of_a_selection(target: str, tmp_path: Path) -> None:
    options = ["--where", '{"n": {"$gte": 1}}', "--order-by", "-n", "--limit", "1", "--column", "id"]
    run("export", target, "notes", tmp_path / "a.parquet", *options)
    assert pq.read_table(tmp_path / "a.parquet").to_pydict() == {"id": ["c"]}
    done = run("export", target, "notes", tmp_path / "parts", "--partition-by", "n")
    assert "3 rows of notes to 3 files" in done.stdout
    done = run("export", target, "notes", tmp_path / "a.parquet", "--overwrite", "--format", "jsonl")
    assert len((tmp_path / "a.parquet").read_text().splitlines()) == 3


def test_sql(target: str) -> None:
    done = run("sql", target, "select id, n from notes where n > 0 order by n desc")
    assert done.exit_code == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()][-2:] == [["c", "2"], ["a", "1"]]
    values = "select n, embedding, tags, 'nan'::double as f, date '2024-05-01' as d, 1.5::decimal(4,2) as m, "
    values += "'x'::blob as b, timestamp '2024-05-01 12:00:00' as t from notes where id = 'c'"
    (row,) = json.loads(run("sql", target, values, "--json").stdout)
    assert row.pop("embedding") == pytest.approx([0.9, 0.1, 0, 0])
    assert row == {
        "n": 2, "tags": ["x", "y"], "f": None, "d": "2024-05-01", "m": "1.50", "b": "eA==",
        "t": "2024-05-01T12:00:00",
    }  # fmt: skip
    assert "1,000 of 2,000 rows" in run("sql", target, "select * from range(2000)").stderr


def test_help(target: str) -> None:
    for command in ("import", "export", "sql"):
        done = run(command, "--help")
        assert done.exit_code == 0 and done.stdout.startswith(f"Usage: chroma {command} ")
    names: Any = run("--help").stdout
    assert all(name in names for name in ("import", "export", "sql"))


def test_long_texts(tmp_path: Path) -> None:
    """The warning is a line of its own, and `--split` divides what it is about."""
    source = tmp_path / "long.jsonl"
    source.write_text(json.dumps({"id": "a", "text": "The committee met on Monday. " * 80}) + "\n")
    command = [sys.executable, "-m", "chroma", "import", str(tmp_path / "db"), "plain", str(source)]
    answer = subprocess.run([*command, "--create"], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0 and "1 added" in answer.stdout
    assert answer.stderr.startswith("Warning: 1 of 1 texts is longer than the 256 tokens")
    assert ".py:" not in answer.stderr
    divided = run("import", tmp_path / "db", "divided", source, "--create", "--split")
    assert "1 row into divided: 3 added" in divided.stdout
