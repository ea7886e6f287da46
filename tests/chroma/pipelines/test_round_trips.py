"""What was exported loads again as it was: ids, order, documents, uris, metadata and their types, vectors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chroma
from chroma.pipelines import export

from ...support import server, strategies
from ...support.tiny_embedding import HashEmbedding

ENDINGS = ["parquet", "arrow", "jsonl", "jsonl.gz"]
_names = (f"things-{number}" for number in itertools.count())


def content(collection: Any) -> list[tuple[Any, ...]]:
    got = collection.get(include=["documents", "metadatas", "embeddings", "uris"])
    vectors = [row.tobytes() for row in np.asarray(got["embeddings"], np.float32)]
    typed = [None if entry is None else [*map(_typed, entry.items())] for entry in got["metadatas"]]
    return list(zip(got["ids"], got["documents"], got["uris"], map(_sorted, typed), vectors, strict=True))


def _typed(item: tuple[str, Any]) -> tuple[str, str, Any]:
    key, value = item
    kinds = [type(entry).__name__ for entry in value] if isinstance(value, list) else type(value).__name__
    return key, str(kinds), repr(value)  # tells -0.0 from 0.0


def _sorted(entries: list[Any] | None) -> list[Any] | None:
    return None if entries is None else sorted(entries)


@pytest.fixture(scope="module", params=["persistent", "http"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if request.param == "persistent":
        with chroma.PersistentClient(tmp_path_factory.mktemp("store")) as client:
            yield client
    else:
        with chroma.HttpClient(server.url()) as client:
            yield client
            client.reset()


records = st.lists(
    st.tuples(
        strategies.ids,
        strategies.optional_documents,
        strategies.optional_metadatas,
        strategies.any_float32(3),
        st.one_of(st.none(), st.text(max_size=5)),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda record: record[0],
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records)
@pytest.mark.parametrize("ending", ENDINGS)
def test_any_records(store: Any, tmp_path: Path, ending: str, rows: list[tuple[Any, ...]]) -> None:
    ids, documents, metadatas, vectors, uris = map(list, zip(*rows))
    source = store.create_collection(next(_names), embedding_function=None)
    source.add(ids=ids, embeddings=vectors, documents=documents, metadatas=metadatas, uris=uris)
    path = tmp_path / f"all.{ending}"
    report = source.export(path, overwrite=True)
    assert (report.rows, report.files) == (len(ids), (str(path),))
    assert report.bytes == path.stat().st_size
    target = store.create_collection(next(_names), embedding_function=None)
    assert target.load(path, batch_size=5).added == len(ids)
    assert content(target) == content(source)
    store.delete_collection(source.name)
    store.delete_collection(target.name)


@pytest.fixture(scope="module")
def things(store: Any) -> Any:
    collection = store.create_collection("things", embedding_function=HashEmbedding())
    collection.add(
        ids=[f"i{n}" for n in range(40)],
        documents=[f"text {n}" for n in range(40)],
        metadatas=[{"n": n, "pos": "nvar"[n % 4], "even": n % 2 == 0} for n in range(39)] + [{"n": 39}],
    )
    return collection


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
@pytest.mark.parametrize("key", ["n", "pos", "even"])
def test_partitions(store: Any, things: Any, tmp_path: Path, key: str, ending: str) -> None:
    report = things.export(tmp_path / "parts", partition_by=key, format=ending)
    values = {str(entry.get(key)) for entry in things.get(include=["metadatas"])["metadatas"]}
    assert len(report.files) == len(values)
    assert all(f"{key}=" in path and path.endswith(f"part-0.{ending}") for path in report.files)
    target = store.create_collection(next(_names), embedding_function=None)
    target.load(tmp_path / "parts")
    assert sorted(content(target)) == sorted(content(things))


@pytest.mark.parametrize("key", ["_hidden", ".dot", "a/b", "a=b", "ключ"])
def test_partitions_of_odd_keys_and_values(store: Any, tmp_path: Path, key: str) -> None:
    source = store.create_collection(next(_names), embedding_function=None)
    values = ["", "..", "a/b", "x=y", "%", "_", "null", "__HIVE_DEFAULT_PARTITION__"]
    ids = [str(n) for n in range(len(values) + 1)]
    source.add(ids=ids, embeddings=[[1.0, 2.0]] * len(ids), metadatas=[*({key: v} for v in values), None])
    source.export(tmp_path / "parts", partition_by=key)
    target = store.create_collection(next(_names), embedding_function=None)
    assert target.load(tmp_path / "parts").added == len(ids)
    assert sorted(content(target)) == sorted(content(source))


def test_a_selection(store: Any, things: Any, tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    report = things.export(
        path, where={"n": {"$lt": 30}}, order_by="-n", limit=5, columns=["id", "embedding"]
    )
    assert report.rows == 5
    target = store.create_collection(next(_names), embedding_function=None)
    target.load(path)
    got = target.get(include=["metadatas"])
    assert got["ids"] == ["i29", "i28", "i27", "i26", "i25"]
    assert got["metadatas"] == [None] * 5


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_to_export(store: Any, tmp_path: Path, ending: str) -> None:
    empty = store.create_collection(next(_names), embedding_function=None)
    path = tmp_path / f"none.{ending}"
    assert empty.export(path).rows == 0
    assert empty.load(path).rows == 0


def test_one_snapshot_while_others_write(client: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """What is written after the first batch is in none of the others."""
    things = client.create_collection("things", embedding_function=HashEmbedding())
    things.add(ids=[f"i{n}" for n in range(40)], documents=["text"] * 40)
    write, begun = export.Export.write, []

    def meddle(self: Any, batch: Any) -> None:
        if not begun:
            begun.append(True)
            things.upsert(ids=["i39", "late"], documents=["another", "late"])
        write(self, batch)

    monkeypatch.setattr(export.Export, "write", meddle)
    assert things.export(tmp_path / "a.parquet").rows == 40
    assert begun == [True]
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column("id").to_pylist() == [f"i{n}" for n in range(40)]
    assert set(table.column("document").to_pylist()) == {"text"}
    again = client.create_collection("again", embedding_function=None)
    assert again.load(tmp_path / "a.parquet").added == 40
    assert content(again) == [entry for entry in content(again) if entry[1] == "text"]
