"""Folders that hold columns, as Hive, Spark and pandas write them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

import chroma


@pytest.fixture
def things() -> Iterator[Any]:
    with chroma.EphemeralClient(private=True) as client:
        yield client.create_collection("things", embedding_function=None)


def metadatas(things: Any) -> dict[str, Any]:
    got = things.get()
    return dict(zip(got["ids"], got["metadatas"], strict=True))


def frame(**columns: list[Any]) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    ids = [f"i{n}" for n in range(rows)]
    return pd.DataFrame({"id": ids, "embedding": [[1.0, 2.0]] * rows, **columns})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["north", "south", "north/east", "a=b", "ü % x", "2024-05-01"], "string"),
        ([2019, 2020, -1], "int64"),
        (["01067", "99999"], "string"),
        (["1.10", "1.9"], "string"),
        ([True, False], "bool"),
        ([1.5, 2.25], "float64"),
        ([None, "north"], "string"),
    ],
)
def test_the_columns_of_pandas(things: Any, tmp_path: Path, values: list[Any], kind: str) -> None:
    frame(shop=values, n=list(range(len(values)))).to_parquet(tmp_path / "a", partition_cols=["shop"])
    report = things.load(tmp_path / "a")
    assert report.types == {"shop": kind} and f"shop {kind}" in str(report)
    expected = {
        f"i{n}": {"n": n} | ({} if value is None else {"shop": value}) for n, value in enumerate(values)
    }
    assert metadatas(things) == expected
    assert {type(entry.get("shop")) for entry in metadatas(things).values()} == set(map(type, values))


def test_several_columns_wherever_the_source_begins(things: Any, tmp_path: Path) -> None:
    held = frame(year=[2019, 2020, 2020], shop=["a", "a", "b"], n=[1, 2, 3])
    held.to_parquet(tmp_path / "a", partition_cols=["year", "shop"])
    last = {"year": 2020, "shop": "b", "n": 3}
    (file,) = (tmp_path / "a" / "year=2020" / "shop=b").iterdir()
    below = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    sources: list[tuple[Any, dict[str, Any]]] = [
        (tmp_path / "a", {}),
        (tmp_path / "a" / "year=2020", {}),
        (tmp_path / "a" / "year=2020" / "shop=b", {}),
        (file, {}),
        (str(tmp_path / "a" / "*" / "*" / "*.parquet"), {}),
        (str(tmp_path / "a" / "year=20*" / "**" / "*.parquet"), {}),
        ([tmp_path / "a" / "year=2019", file], {}),
        ("a", {"filesystem": below}),
    ]
    for source, options in sources:
        things.load(source, on_conflict="upsert", **options)
        assert metadatas(things)["i2"] == last, source
        things.delete(ids=things.get()["ids"])
    things.load(tmp_path / "a", columns={"document": "shop", "metadata": {"year": "y"}})
    assert (things.get()["documents"], metadatas(things)["i0"]) == (["a", "a", "b"], {"y": 2019})


def test_folders_above_the_source_hold_none(things: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run=3" / "data"
    folder.mkdir(parents=True)
    frame(n=[1]).to_parquet(folder / "a.parquet")
    things.load(folder)
    assert metadatas(things) == {"i0": {"n": 1}}


def test_names_that_begin_with_an_underscore(things: Any, tmp_path: Path) -> None:
    frame(_k=["x"]).to_parquet(tmp_path / "a", partition_cols=["_k"])
    things.load(tmp_path / "a")
    assert metadatas(things) == {"i0": {"_k": "x"}}


def test_other_formats(things: Any, tmp_path: Path) -> None:
    rows = [{"id": "a", "embedding": [1, 2]}, {"id": "b", "embedding": [1, 2], "metadata": {"m": 1}}]
    for year in (2019, 2020):
        (tmp_path / f"year={year}").mkdir()
    (tmp_path / "year=2019" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "year=2019" / "b.csv").write_text('id,embedding,n\nc,"[1,2]",1\n')
    table = pa.table({"id": ["d"], "embedding": [[1.0, 2.0]], "year": [1]})
    with pa.ipc.new_file(tmp_path / "year=2020" / "c.arrow", table.schema) as writer:
        writer.write_table(table)
    things.load(tmp_path, columns={"id": "id"})
    assert metadatas(things) == {
        "a": {"year": 2019},
        "b": {"year": 2019, "m": 1},
        "c": {"year": 2019, "n": 1},
        "d": {"year": 1},  # the file's own column counts
    }


def test_an_export_comes_back(things: Any, tmp_path: Path) -> None:
    things.load(frame(shop=["a", None, ""], n=[1, 2, 3]))
    before = metadatas(things)
    for format in ("parquet", "arrow"):
        target = tmp_path / format
        things.export(target, partition_by="shop", format=format)
        things.delete(ids=list(before))
        assert things.load(target).types == {}, "the files have the column themselves"
        assert metadatas(things) == before, format


def test_a_new_folder_may_not_change_the_type(things: Any, tmp_path: Path) -> None:
    for zip in ("1", "2"):
        (tmp_path / f"zip={zip}").mkdir()
        table = pa.table({"id": [f"{zip}-{n}" for n in range(5)], "embedding": [[1.0, 2.0]] * 5})
        pq.write_table(table, tmp_path / f"zip={zip}" / "a.parquet")
    with chroma.PersistentClient(tmp_path / "db") as client:
        stored = client.create_collection("stored", embedding_function=None)
        stored.add(ids=["2-3"], embeddings=[[1, 2]])
        sources = [tmp_path / "zip=1", tmp_path / "zip=2"]
        with pytest.raises(chroma.errors.IDAlreadyExistsError):
            stored.load(sources)
        (tmp_path / "zip=2" / "a.parquet").unlink()
        (tmp_path / "zip=2").rmdir()
        (tmp_path / "zip=2").mkdir()
        (tmp_path / "zip=2" / "zip=02").mkdir()
        pq.write_table(table, tmp_path / "zip=2" / "zip=02" / "a.parquet")
        with pytest.raises(chroma.errors.InvalidArgumentError, match="read the rows otherwise.*'zip'"):
            stored.load(sources)
