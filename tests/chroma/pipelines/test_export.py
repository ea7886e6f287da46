"""Files of an export are there when they are whole, and nothing else is lost."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

import chroma
from chroma.errors import InvalidArgumentError, InvalidTypeError
from chroma.pipelines import export


@pytest.fixture(scope="module")
def things() -> Any:
    with chroma.EphemeralClient(private=True) as client:
        collection = client.create_collection("things", embedding_function=None)
        collection.add(
            ids=[f"i{n}" for n in range(30)],
            embeddings=[[float(n), 1.0] for n in range(30)],
            metadatas=[{"n": n, "pos": "nv"[n % 2], "f": n / 3, "tags": ["a", "b"]} for n in range(30)],
        )
        yield collection


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_what_exists_is_replaced_only_on_request(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    things.export(path)
    with pytest.raises(InvalidArgumentError, match="overwrite=True"):
        things.export(path, limit=2)
    assert pq.read_metadata(path).num_rows == 30
    things.export(path, limit=2, overwrite=True)
    assert pq.read_metadata(path).num_rows == 2
    assert names(tmp_path) == ["a.parquet"]


def test_a_folder_keeps_what_no_export_made(things: Any, tmp_path: Path) -> None:
    things.export(tmp_path, partition_by="n")
    (tmp_path / "mine.csv").write_text("id\n1\n")
    (tmp_path / "n=3" / "mine.parquet").write_bytes(b"")
    with pytest.raises(InvalidArgumentError, match="overwrite=True"):
        things.export(tmp_path, partition_by="pos")
    things.export(tmp_path, partition_by="pos", overwrite=True)
    assert names(tmp_path) == ["mine.csv", "n=3/mine.parquet", "pos=n/part-0.parquet", "pos=v/part-0.parquet"]


@pytest.mark.parametrize("options", [{}, {"partition_by": "pos", "format": "arrow"}])
def test_an_error_leaves_nothing(
    things: Any, tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.parquet"
    things.export(old, limit=1)

    def fail(self: Any) -> None:
        raise OSError("no space")

    monkeypatch.setattr(export._File, "finish", fail)
    target = tmp_path / "new" if options else old
    with pytest.raises(OSError, match="no space"):
        things.export(target, overwrite=True, **options)
    assert names(tmp_path) == ["old.parquet"]
    assert pq.read_metadata(old).num_rows == 1


def test_nobody_sees_half_a_file(things: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    publish = export._File.publish

    def look(self: Any) -> int:
        seen.append(names(tmp_path))
        return publish(self)

    monkeypatch.setattr(export._File, "publish", look)
    things.export(tmp_path / "a.jsonl")
    ((name,),) = seen
    assert name.startswith("a.jsonl.") and name.endswith(".part")
    assert names(tmp_path) == ["a.jsonl"]


@pytest.mark.parametrize(
    ("path", "options", "error", "text"),
    [
        ("a.xlsx", {}, InvalidArgumentError, "has no known ending: end it with"),
        (
            "a.jsonl",
            {"columns": ["id", "pos"]},
            InvalidArgumentError,
            "'pos': JSON lines have the metadata as",
        ),
        ("a.csv", {"partition_by": "pos"}, InvalidArgumentError, "partition_by is for Parquet and Arrow"),
        ("a", {"format": "orc"}, InvalidArgumentError, "'orc'"),
        ("a.jsonl", {"partition_by": "pos"}, InvalidArgumentError, "partition_by is for Parquet and Arrow"),
        ("a", {"partition_by": 3}, InvalidTypeError, "a metadata key"),
        (
            "a",
            {"partition_by": "none"},
            InvalidArgumentError,
            "'none': the key is none that",
        ),
        ("a", {"partition_by": "f"}, InvalidArgumentError, "str, int and bool"),
        ("a", {"partition_by": "tags"}, InvalidArgumentError, "str, int and bool"),
        ("a.parquet", {"columns": ["id", "nope"]}, InvalidArgumentError, "nope"),
        (3, {}, InvalidTypeError, "a path or URL"),
        ("nowhere://x/a.parquet", {}, InvalidArgumentError, "pass filesystem="),
    ],
)
def test_what_cannot_be_written(
    things: Any, tmp_path: Path, path: Any, options: dict[str, Any], error: type[Exception], text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=text):
        things.export(path, **options)
    assert names(tmp_path) == []


def test_too_many_partitions(things: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_MOST_PARTITIONS", 10)
    with pytest.raises(InvalidArgumentError, match="more than 10 values"):
        things.export(tmp_path / "parts", partition_by="n")
    assert names(tmp_path) == []


def test_other_file_systems(things: Any, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    things.export("/bucket/a.parquet", filesystem=memory)
    things.export("b.arrow", filesystem=pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()))
    assert names(tmp_path) == ["b.arrow"]
    with chroma.EphemeralClient(private=True) as client:
        again = client.create_collection("again", embedding_function=None)
        assert again.load("/bucket", filesystem=memory).added == 30
        assert again.load(f"file://{tmp_path}/b.arrow", on_conflict="skip").skipped == 30
    memory.rm("/bucket", recursive=True)


def test_the_report_says_it(things: Any, tmp_path: Path) -> None:
    text = str(things.export(tmp_path / "a.jsonl", progress=False))
    assert text.startswith(f"30 rows of things to {tmp_path}/a.jsonl: ")
    assert str(things.export(tmp_path / "p", partition_by="pos")).startswith("30 rows of things to 2 files: ")


def odd() -> Any:
    """Texts that look like other types, a key with values of two types, floats without a fraction."""
    return {
        "ids": ["1", 'b"x', "c", "d"],
        "embeddings": [[0.1, 0.2], [1 / 3, 2 / 3], [1, 2], [1e-20, -3e20]],
        "documents": ["007", 'two\nlines, "q"\t', None, ""],
        "metadatas": [
            {"n": 1, "f": 2.0, "s": "12", "b": True, "big": 2**62},
            {"n": "x", "s": "", "f": -1e300, "id": "inner"},
            None,
            {"s": "true", "f": 0.1, "b": False},
        ],
        "uris": [None, "u", None, None],
    }


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.csv.gz"])
def test_csv_brings_back_what_it_can_hold(tmp_path: Path, name: str) -> None:
    fields: Any = ["embeddings", "documents", "metadatas", "uris"]
    with chroma.EphemeralClient(private=True) as client:
        first = client.create_collection("first", embedding_function=None)
        first.add(**odd())
        report = first.export(tmp_path / name)
        assert report.rows == 4 and report.bytes == (tmp_path / name).stat().st_size
        second = client.create_collection("second", embedding_function=None)
        second.load(tmp_path / name, progress=False)
        found, expected = second.get(include=fields), first.get(include=fields)
        for part in ("ids", "documents", "metadatas", "uris"):
            assert found[part] == expected[part]  # type: ignore[literal-required]
        assert all(
            type(one[key]) is type(other[key])
            for one, other in zip(found["metadatas"], expected["metadatas"], strict=True)
            if one is not None
            for key in one
        )
        assert found["embeddings"].tobytes() == expected["embeddings"].tobytes()


def test_csv_as_other_programs_read_it(things: Any, tmp_path: Path) -> None:
    things.export(tmp_path / "a.csv", columns=["id", "n", "pos", "tags"], limit=2)
    with open(tmp_path / "a.csv", newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            ["id", "n", "pos", "tags"],
            ["i0", "0", "n", '["a","b"]'],
            ["i1", "1", "v", '["a","b"]'],
        ]
    out = io.BytesIO()
    things.export(out, format="csv", columns=["id"], where={"n": {"$gt": 99}})
    assert out.getvalue() == b'"id"\n'
    things.export(out, format="csv", columns="f", limit=2)
    assert out.getvalue() == b'"id"\n"f"\n0.0\n0.3333333333333333\n'
    with pytest.raises(InvalidArgumentError, match="CSV are one file"):
        things.export(tmp_path / "folder", partition_by="pos", format="csv")
