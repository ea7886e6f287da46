"""What tables of collections and results are like: columns, types, order, snapshots, memory."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import chroma
from chroma.errors import ChromaError

from ...support import driven
from ...support.checks import fill, refused

VECTORS = pa.list_(pa.float32(), 2)


@pytest.fixture
def mixed(client: Any) -> Any:
    """Three records with keys of all sorts."""
    things = client.create_collection("mixed", embedding_function=None)
    things.add(
        ids=["a", "b", "c"],
        embeddings=[[1, 2], [3, 4], [5, 6]],
        documents=["one", None, "three"],
        metadatas=[{"size": 1, "pos": "n", "id": "x"}, {"size": "big", "tags": ["p", "q"]}, {"pos": "v"}],
    )
    return things


def names_and_types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


def test_the_columns(mixed: Any) -> None:
    table = mixed.to_arrow()
    assert [*names_and_types(table).items()] == [
        ("id", "string"),
        ("document", "string"),
        ("uri", "string"),
        *sorted(
            {
                "metadata[int].size": "int64",
                "metadata[str].size": "string",
                "metadata.id": "string",
                "pos": "string",
                "tags": str(table.schema.field("tags").type),
            }.items(),
            key=lambda item: table.column_names.index(item[0]),
        ),
        ("embedding", str(table.schema.field("embedding").type)),
    ]
    assert table.schema.field("embedding").type == VECTORS
    assert table.schema.field("tags").type == pa.list_(pa.string())
    assert table.column("metadata[str].size").to_pylist() == [None, "big", None]


def test_chosen_columns(mixed: Any) -> None:
    assert mixed.to_arrow(["pos", "id"]).to_pydict() == {"pos": ["n", None, "v"], "id": ["a", "b", "c"]}
    assert mixed.to_arrow(["embedding", "document"]).column_names == ["embedding", "document"]
    assert mixed.to_arrow("pos").column_names == ["pos"]
    assert mixed.to_arrow(["size"]).column_names == ["metadata[int].size", "metadata[str].size"]
    assert mixed.to_arrow(["metadata[str].size"]).column_names == ["metadata[str].size"]
    assert mixed.to_arrow(["metadata.id"]).to_pydict() == {"metadata.id": ["x", None, None]}
    assert mixed.to_pandas(["id", "size"])["size"].tolist() == [1, "big", None]
    assert mixed.to_polars(["id", "tags"]).rows() == [("a", None), ("b", ["p", "q"]), ("c", None)]
    for columns, fragments in (
        (["nope"], ["'nope'", "pos"]),
        (["ids"], ["'ids'", "'id'"]),
        ([], ["[]"]),
        (["id", "id"], ["twice"]),
        ([1], ["[1]"]),
        (["metadata"], ['metadata="json"']),
    ):
        with refused(*fragments, error=ChromaError):
            mixed.to_arrow(columns)


def test_chosen_records(mixed: Any) -> None:
    def ids(**chosen: Any) -> Any:
        return mixed.to_arrow(["id"], **chosen)["id"].to_pylist()

    assert ids(where={"pos": "v"}) == ["c"]
    assert ids(where_document={"$contains": "e"}, limit=1) == ["a"]
    assert ids(ids=["c", "a", "unknown"]) == ["a", "c"]
    assert ids(offset=1, limit=1) == ["b"]
    assert ids(order_by="-pos", limit=2) == ["c", "a"]
    assert mixed.to_pandas(where={"pos": "v"})["id"].tolist() == ["c"]
    assert mixed.to_polars(limit=1).height == 1


def test_metadata_as_json(mixed: Any) -> None:
    table = mixed.to_arrow(metadata="json")
    assert table.column_names == ["id", "document", "uri", "metadata", "embedding"]
    assert table["metadata"].to_pylist()[2] == '{"pos":"v"}'
    assert mixed.to_arrow(["metadata"], metadata="json").column_names == ["metadata"]
    with refused("'pos'", "json"):
        mixed.to_arrow(["pos"], metadata="json")
    with refused("'rows'", "columns"):
        mixed.to_arrow(metadata="rows")


def test_empty_tables_have_a_schema(client: Any, mixed: Any) -> None:
    """No row is no reason for other types."""
    nothing = mixed.to_arrow(["id", "pos", "embedding"], where={"pos": "none"})
    assert nothing.num_rows == 0
    assert nothing.schema.field("pos").type == pa.string()
    assert nothing.schema.field("embedding").type == VECTORS
    assert mixed.to_arrow(["size"], limit=0).column_names == ["metadata[int].size", "metadata[str].size"]
    empty = client.create_collection("empty", embedding_function=None)
    assert empty.to_arrow().column_names == ["id", "document", "uri", "embedding"]
    assert empty.to_pandas().empty
    assert empty.to_polars().is_empty()


def test_no_records_have_all_columns(mixed: Any) -> None:
    """So that what reads a column finds it, whatever the filter leaves."""
    for chosen in ({"where": {"pos": "none"}}, {"limit": 0}, {"ids": ["none"]}):
        table = mixed.to_arrow(**chosen)
        assert table.num_rows == 0
        assert table.schema == mixed.to_arrow().schema
    assert mixed.to_pandas(where={"pos": "none"})["pos"].tolist() == []


def test_keys_of_deleted_records_are_gone(mixed: Any) -> None:
    mixed.delete(["b"])
    assert "tags" not in mixed.to_arrow().column_names
    assert "size" in mixed.to_arrow().column_names
    mixed.compact()
    assert "size" in mixed.to_arrow().column_names
    with refused("'tags'", error=ChromaError):
        mixed.to_arrow(["tags"])


def test_pandas_keeps_types(client: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    things.add(
        ids=["a", "b"],
        embeddings=[[1, 2], [3, 4]],
        metadatas=[{"n": 2**63 - 1, "t": True, "all": 1, "x": 0.5, "l": [1]}, {"all": 2}],
    )
    frame = things.to_pandas()
    assert str(frame["n"].dtype) == "Int64"
    assert frame["n"][0] == 2**63 - 1
    assert str(frame["t"].dtype) == "boolean"
    assert str(frame["all"].dtype) == "int64"
    assert str(frame["x"].dtype) == "float64"
    assert frame["l"].tolist() == [[1], None]
    assert frame["embedding"][1].dtype == np.float32
    assert frame["embedding"][1].tolist() == [3, 4]
    assert np.stack(frame["embedding"]).shape == (2, 2)


# ---------------------------------------------------------------------------- streams


@pytest.fixture(params=["memory", "disk"])
def many(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """20,000 records of 32 numbers."""
    opened = (
        chroma.EphemeralClient(private=True)
        if request.param == "memory"
        else chroma.PersistentClient(tmp_path)
    )
    with opened as client:
        things = client.create_collection("many", embedding_function=None)
        fill(things, 20_000, 32)
        things.compact()
        yield things


def test_a_stream_is_of_its_beginning(client: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    fill(things, 3000, 64)
    begun = things.to_batches()
    things.delete([f"r{number}" for number in range(0, 3000, 2)])
    things.update(["r1"], metadatas=[{"n": "changed"}])
    things.add(["new"], embeddings=[[0] * 64])
    things.compact()
    client.delete_collection("things")
    table = driven.run(begun.aread_all()) if hasattr(begun, "aread_all") else begun.read_all()
    assert table.num_rows == 3000
    assert table["n"].to_pylist() == list(range(3000))


def test_a_table_stays_what_it_is(many: Any) -> None:
    table = many.to_arrow()
    before = table.slice(10_000, 5).to_pylist()
    many.delete(where={"n": {"$gte": 100}})
    many.compact()
    assert table.slice(10_000, 5).to_pylist() == before


def test_batches_are_bounded(many: Any) -> None:
    batches = [*many.to_batches()]
    assert len(batches) > 1
    assert max(batch.nbytes for batch in batches) < 10 << 20
    assert sum(batch.num_rows for batch in batches) == 20_000


def test_vectors_are_not_copied(many: Any) -> None:
    many.to_arrow()
    before = pa.total_allocated_bytes()
    table = many.to_arrow()
    assert pa.total_allocated_bytes() - before < 20_000 * 32 * 4 / 4
    other = many.to_arrow()  # of the same memory
    assert address(table) == address(other)
    row = ctypes.cast(address(table), ctypes.POINTER(ctypes.c_float))
    assert row[32] == 1.0


def address(table: pa.Table) -> int:
    found: int = table["embedding"].chunk(0).flatten().buffers()[1].address
    return found


def test_other_programs_read_collections(many: Any) -> None:
    collection = many
    assert pl.DataFrame(collection).height == 20_000
    assert duckdb.sql("select sum(n) from collection").fetchall() == [(199_990_000,)]
    assert pa.table(collection).num_rows == 20_000
    result = collection.get(limit=3)
    assert pl.from_arrow(result.to_arrow())["n"].to_list() == [0, 1, 2]
    assert pa.RecordBatchReader.from_stream(result).read_all()["n"].to_pylist() == [0, 1, 2]


# ---------------------------------------------------------------------------- results


def test_results_are_tables(mixed: Any) -> None:
    found = mixed.get(include=["documents", "metadatas", "embeddings"])
    assert found.to_arrow().schema.field("embedding").type == VECTORS
    assert "uri" not in found.to_arrow().column_names
    assert found.to_pandas()["size"].tolist() == [1, "big", None]
    hits = mixed.query(query_embeddings=[[1, 2], [5, 6]], n_results=2)
    table = hits.to_arrow()
    assert table.column_names[:4] == ["query", "rank", "id", "distance"]
    assert table["query"].to_pylist() == [0, 0, 1, 1]
    assert table["rank"].to_pylist() == [1, 2, 1, 2]
    assert table["id"].to_pylist() == ["a", "b", "c", "b"]
    assert table["distance"].to_pylist() == [0, 8, 0, 8]
    frames = hits.to_pandas(per_query=True)
    assert [frame["id"].tolist() for frame in frames] == [["a", "b"], ["c", "b"]]
    assert [type(frame) for frame in frames] == [pd.DataFrame] * 2
    assert "query" not in frames[0].columns
    assert [frame["id"].to_list() for frame in hits.to_polars(per_query=True)] == [["a", "b"], ["c", "b"]]
    assert hits.to_polars().height == 4


def test_results_without_hits(mixed: Any) -> None:
    none = mixed.query(query_embeddings=[[1, 2], [3, 4]], where={"pos": "none"})
    assert none.to_arrow().column_names == ["query", "rank", "id", "distance", "document"]
    assert [frame.empty for frame in none.to_pandas(per_query=True)] == [True, True]
    some = mixed.query(query_embeddings=[[1, 2]], include=[])
    assert some.to_arrow().column_names == ["query", "rank", "id"]
    assert mixed.get(["unknown"], include=["embeddings"]).to_pandas().empty


def test_results_with_keys_of_answers(client: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    things.add(
        ids=["a", "b"], embeddings=[[1], [2]], metadatas=[{"rank": 7, "distance": 1}, {"distance": "x"}]
    )
    frame = things.query(query_embeddings=[[1]]).to_pandas()
    assert frame["rank"].tolist() == [1, 2]
    assert frame["metadata.rank"].tolist()[0] == 7
    assert frame["metadata.distance"].tolist() == [1, "x"]
    assert things.get().to_pandas()["rank"].tolist()[0] == 7
