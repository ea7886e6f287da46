"""What a load can read: files of every kind, wherever they are, and streams."""

from __future__ import annotations

import gzip
import json
import pathlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

import chroma
from chroma.errors import InvalidArgumentError, InvalidTypeError
from chroma.pipelines import pace

from ...support.tiny_embedding import HashEmbedding, vector_of


@pytest.fixture
def things() -> Iterator[Any]:
    with chroma.EphemeralClient(private=True) as client:
        yield client.create_collection("things", embedding_function=HashEmbedding())


def table(start: int = 0, stop: int = 10) -> pa.Table:
    numbers = range(start, stop)
    vectors = pa.array(np.arange(start * 4, stop * 4, dtype=np.float32))
    return pa.table(
        {
            "id": [f"i{n}" for n in numbers],
            "embedding": pa.FixedSizeListArray.from_arrays(vectors, 4),
            "document": [f"text {n}" for n in numbers],
            "n": list(numbers),
        }
    )


def write(path: Path, held: pa.Table) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(held, path, row_group_size=3)
    elif path.suffix == ".arrows":
        with pa.ipc.new_stream(path, held.schema) as writer:
            writer.write_table(held, max_chunksize=4)
    elif path.suffix in (".arrow", ".feather"):
        with pa.ipc.new_file(path, held.schema) as writer:
            writer.write_table(held, max_chunksize=4)
    else:
        rows = held.to_pylist()
        text = "".join(json.dumps(row) + "\n" for row in rows).encode()
        kinds = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
        with pa.output_stream(path, compression=kinds.get(path.suffix)) as sink:
            sink.write(text)
    return path


def same(collection: Any, held: pa.Table) -> None:
    got = collection.get(include=["embeddings", "documents", "metadatas"])
    assert got["ids"] == held.column("id").to_pylist()
    assert got["documents"] == held.column("document").to_pylist()
    assert [entry["n"] for entry in got["metadatas"]] == held.column("n").to_pylist()
    assert np.array_equal(got["embeddings"], np.stack(held.column("embedding").to_pylist()))


@pytest.mark.parametrize("batch_size", [3, 4, 100])
@pytest.mark.parametrize(
    "name",
    [
        "a.parquet",
        "a.arrow",
        "a.feather",
        "a.arrows",
        "a.jsonl",
        "a.jsonl.gz",
        "a.ndjson.bz2",
        "a.jsonl.zst",
        "a.jsonl.lz4",
    ],
)
def test_files(things: Any, tmp_path: Path, name: str, batch_size: int) -> None:
    report = things.load(write(tmp_path / name, table()), batch_size=batch_size)
    assert (report.rows, report.added, report.rejected) == (10, 10, 0)
    same(things, table())


def test_lists_globs_and_folders(things: Any, tmp_path: Path) -> None:
    for name, start in (("a/1.parquet", 0), ("a/b/2.jsonl", 3), ("a/b/3.arrow", 6), ("c.parquet", 9)):
        write(tmp_path / name, table(start, start + 3))
    for name in (
        "a/.hidden.parquet",
        "a/_temporary/0.parquet",
        "a/_SUCCESS",
        "a/notes.txt",
        "a/x.parquet.9.part",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no data")
    sources: list[Any] = [
        tmp_path,
        str(tmp_path),
        str(tmp_path / "**" / "*.*"),
        [tmp_path / "a", tmp_path / "c.parquet"],
        [
            str(tmp_path / "a" / "[12]*.parquet"),
            tmp_path / "a" / "b",
            pathlib.PurePath(tmp_path / "c.parquet"),
        ],
        f"file://{tmp_path}",
    ]
    for source in sources:
        assert things.load(source).added == 12, source
        same(things, table(0, 12))
        things.delete(where={"n": {"$gte": 0}})
    assert things.load(str(tmp_path / "a" / "**" / "*.parquet")).added == 3
    assert things.load(str(tmp_path / "*.parquet")).added == 3


def test_names_with_brackets_are_names_first(things: Any, tmp_path: Path) -> None:
    write(tmp_path / "a[1].parquet", table())
    assert things.load(tmp_path / "a[1].parquet").added == 10


def test_file_systems(things: Any, tmp_path: Path) -> None:
    write(tmp_path / "data" / "a.parquet", table())
    below = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    assert things.load("data/*.parquet", filesystem=below).added == 10
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/data/b.csv", b"id,document\n01,one\n02,two\n")
    assert things.load("/data", filesystem=memory).added == 2
    assert things.get(ids=["01"])["documents"] == ["one"]
    memory.rm("/data", recursive=True)


def streams() -> dict[str, Any]:
    held = table()
    return {
        "table": held,
        "reader": held.to_reader(3),
        "dataset": ds.dataset(held),
        "pandas": pd.DataFrame(
            {
                name: list(column) if name == "embedding" else column
                for name, column in ((name, held.column(name).to_pylist()) for name in held.column_names)
            }
        ),
        "polars": pl.DataFrame(held),
        "lazy": pl.DataFrame(held).lazy(),
        "batches": iter(held.to_batches(max_chunksize=3)),
        "frames": (pl.DataFrame(held.slice(start, 4)) for start in range(0, 10, 4)),
    }


@pytest.mark.parametrize("kind", list(streams()))
def test_streams(things: Any, kind: str) -> None:
    report = things.load(streams()[kind], batch_size=4)
    assert (report.rows, report.added) == (10, 10)
    same(things, table())


def test_duckdb(things: Any, tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        relation = connection.sql(
            "select 'i' || range as id, 'text' as document, range as n from range(5000)"
        )
        assert things.load(relation).added == 5000
    assert things.get(ids=["i4999"])["metadatas"] == [{"n": 4999}]


def test_frames_of_changing_columns(things: Any) -> None:
    frames = [pd.DataFrame({"id": ["a"], "document": ["x"], "k": [1]}),
              pd.DataFrame({"id": ["b"], "document": ["y"], "k": ["one"], "l": [True]})]  # fmt: skip
    assert things.load(iter(frames)).added == 2
    assert things.get()["metadatas"] == [{"k": 1}, {"k": "one", "l": True}]


# ---------------------------------------------------------------------------- CSV


def test_csv(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(
        'id,document,zip,n,ok,day,empty\n007,"a, ""b""\nc",01234,1,true,2024-05-01,\n8,x,99,,false,,""\n'
    )
    things.load(path, types={"zip": "string"})
    got = things.get()
    assert got["ids"] == ["007", "8"]
    assert got["documents"] == ['a, "b"\nc', "x"]
    assert got["metadatas"] == [
        {"zip": "01234", "n": 1, "ok": True, "day": "2024-05-01"},
        {"zip": "99", "ok": False, "empty": ""},
    ]


def test_csv_columns_by_other_names_are_texts_too(things: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("key,text,n\n007,1234,0\n")
    things.load(path, columns={"id": "key", "document": "text"})
    assert (things.get()["ids"], things.get()["documents"]) == (["007"], ["1234"])


def test_csv_vectors_are_json(things: Any, tmp_path: Path) -> None:
    path, rejects = tmp_path / "a.tsv.gz", tmp_path / "rejects.jsonl"
    lines = [
        "id\tvector\tn",
        "a\t[0.1, 0.2, 3, -4e-3]\t1",
        "b\t0.1 0.2\t2",
        "c\t[1, null, 2, 3]\t3",
        "d\t[1,2,3,4]\t4",
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    report = things.load(path, columns={"embedding": "vector"}, rejects=rejects)
    assert (report.added, report.rejected) == (2, 2)
    got = things.get(include=["embeddings", "metadatas"])
    assert np.array_equal(got["embeddings"], np.float32([[0.1, 0.2, 3, -4e-3], [1, 2, 3, 4]]))
    assert got["metadatas"] == [{"n": 1}, {"n": 4}]
    told = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(entry["row"], entry["record"]["id"]) for entry in told] == [(1, "b"), (2, "c")]
    assert "is not a list of numbers as [0.1, 0.2]" in told[0]["reason"]


def test_csv_of_many_blocks(things: Any, tmp_path: Path) -> None:
    """A value that the first megabyte did not announce makes the column text."""
    path = tmp_path / "a.csv"
    held = pa.table({"id": [f"{n:050}" for n in range(30_000)], "n": list(range(30_000))})
    held = held.append_column("embedding", pa.array(["[1,2]"] * 30_000))
    pacsv.write_csv(held, path)
    assert things.load(path).added == 30_000
    assert things.get(ids=[f"{29_999:050}"])["metadatas"] == [{"n": 29_999}]
    with open(path, "a") as file:
        file.write('"x",many,"[1,2]"\n')
    assert things.load(path, on_conflict="upsert").types["n"] == "string"
    assert things.get(ids=[f"{29_999:050}", "x"])["metadatas"] == [{"n": "29999"}, {"n": "many"}]


# ---------------------------------------------------------------------------- columns, transformations


def test_columns(things: Any, tmp_path: Path) -> None:
    held = table().rename_columns(["key", "vector", "text", "n"]).append_column("m", pa.array(["x"] * 10))
    path = write(tmp_path / "a.parquet", held)
    columns = {"id": "key", "embedding": "vector", "document": "text", "metadata": {"m": "renamed"}}
    things.load(path, columns=columns)
    assert things.get(limit=1)["metadatas"] == [{"renamed": "x"}]
    with pytest.raises(InvalidArgumentError, match="a.parquet: there is no column 'id'"):
        things.load(path)


def test_transformations(things: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", table())
    done: list[Any] = [
        (lambda part: part.filter(pa.compute.less(part.column("n"), 4)), 4),
        (lambda part: part.to_pandas(), 10),
        (lambda part: pl.DataFrame(part).with_columns(n=pl.col("n") + 1), 10),
        (lambda part: None, 0),
        (lambda part: part.slice(0, 0), 0),
        (
            lambda part: [
                {"id": f"{id}-{n}", "document": "x"} for id in part["id"].to_pylist() for n in "ab"
            ],
            20,
        ),
    ]
    for transform, added in done:
        report = things.load(path, transform=transform, batch_size=4)
        assert (report.rows, report.added, things.count()) == (10, added, added)
        things.delete(where={"#document": {"$contains": "x"}})
    with pytest.raises(InvalidTypeError, match="transform returned 3"):
        things.load(path, transform=lambda part: 3)
    with pytest.raises(InvalidTypeError, match="a list with 3 in it"):
        things.load(path, transform=lambda part: [3])
    with pytest.raises(ZeroDivisionError):
        things.load(path, transform=lambda part: 1 // 0)


def test_transformations_of_json_lines(things: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", table())
    things.load(path, transform=lambda part: [row | {"n": row["n"] * 2, "m": None} for row in part])
    assert [entry["n"] for entry in things.get()["metadatas"]] == list(range(0, 20, 2))


def test_documents_without_vectors_are_embedded(
    things: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "_MOST_TEXTS", 3)
    held = table()
    some = pa.array([None if n % 3 else [float(n)] * 4 for n in range(10)], pa.list_(pa.float32(), 4))
    things.load(held.set_column(1, "embedding", some))
    expected = [vector_of(f"text {n}") if n % 3 else [float(n)] * 4 for n in range(10)]
    assert np.array_equal(things.get(include=["embeddings"])["embeddings"], np.float32(expected))


# ---------------------------------------------------------------------------- what is none


@pytest.mark.parametrize(
    ("source", "options", "error", "text"),
    [
        (3, {}, InvalidTypeError, "a path, a URL"),
        (b"x", {}, InvalidTypeError, "a path, a URL"),
        ([], {}, InvalidArgumentError, "an empty list"),
        ([3], {}, InvalidTypeError, "the iterator gave 3"),
        ("none.parquet", {}, InvalidArgumentError, "there is no file or folder"),
        ("none*.parquet", {}, InvalidArgumentError, "no file matches"),
        ("none/*.parquet", {}, InvalidArgumentError, "there is no folder"),
        ("http://localhost/a.csv", {}, InvalidArgumentError, "pass filesystem= with an Arrow or fsspec"),
        ("x.txt", {}, InvalidArgumentError, "pass format='parquet', 'csv'"),
        (["a.parquet", "a.parquet"], {}, InvalidArgumentError, "twice"),
        ("empty", {}, InvalidArgumentError, "has no files to load"),
        ("x.parquet", {}, InvalidArgumentError, "x.parquet cannot be read as parquet"),
        ("x.txt", {"format": "arrow"}, InvalidArgumentError, "x.txt cannot be read as arrow"),
        ("x.csv", {}, InvalidArgumentError, "row 1 of .*x.csv .* it has 3 cells, and the first"),
        ("a.parquet", {"format": "orc"}, InvalidArgumentError, "Expected format"),
        ("a.parquet", {"filesystem": 3}, InvalidTypeError, "Expected filesystem"),
        ("a.parquet", {"on_conflict": "replace"}, InvalidArgumentError, "'error', 'skip' or 'upsert'"),
        ("a.parquet", {"transform": 3}, InvalidTypeError, "transform to be a function"),
        ("a.parquet", {"batch_size": 0}, InvalidArgumentError, "batch_size to be 1 or more"),
        ("a.parquet", {"max_rejects": -1}, InvalidArgumentError, "max_rejects to be 0 or more"),
        ("a.parquet", {"types": {"a": "int3"}}, InvalidArgumentError, "expected an Arrow type"),
        ("a.parquet", {"types": ["a"]}, InvalidTypeError, "types to be a dict"),
        ("a.parquet", {"columns": {"vector": "a"}}, InvalidArgumentError, "columns has the entry 'vector'"),
        ("a.parquet", {"rejects": "none/r.jsonl"}, InvalidArgumentError, "cannot be written"),
        ("a.parquet", {"rejects": 3}, InvalidTypeError, "Expected rejects to be a path"),
        ("a.jsonl", {"rejects": "a.jsonl"}, InvalidArgumentError, "both the source and the file"),
        ("a.parquet", {"job": 3}, InvalidTypeError, "job to be a name"),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded(
    things: Any, tmp_path: Path, source: Any, options: dict[str, Any], error: type[Exception], text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.parquet", table())
    write(tmp_path / "a.jsonl", table())
    (tmp_path / "empty").mkdir()
    for name in ("x.txt", "x.parquet"):
        (tmp_path / name).write_text("no data")
    (tmp_path / "x.csv").write_text("id,document\n1,x\n2,y,z\n")
    with pytest.raises(error, match=text):
        things.load(source, **options)
    assert things.count() == 0
    assert (tmp_path / "a.jsonl").stat().st_size > 100


def test_metadata_may_be_a_column_of_json(tmp_path: Path) -> None:
    table = pa.table({"id": ["a", "b"], "metadata": ['{"n": 1}', None], "embedding": [[1.0, 2.0]] * 2})
    pq.write_table(table, tmp_path / "records.parquet")
    things = chroma.EphemeralClient().create_collection("things")
    assert things.load(tmp_path / "records.parquet").added == 2
    assert things.get()["metadatas"] == [{"n": 1}, None]
