"""Tables of every kind as the records of a write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import pytest

import chroma
from chroma.errors import ChromaError, InvalidDimensionException, InvalidTypeError

from ...support.checks import refused
from ...support.tiny_embedding import HashEmbedding
from .support import contents

TABLE = pa.table(
    {
        "id": ["a", "b", "c"],
        "document": ["x", None, ""],
        "uri": [None, "u", None],
        "embedding": pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.float32(), 2)),
        "n": [1, None, 3],
        "tags": [["p"], ["q", "r"], None],
    }
)


class Capsule:
    """Nothing but the interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return TABLE.__arrow_c_stream__(requested_schema)


def written(folder: Path) -> Any:
    pyarrow.parquet.write_table(TABLE, folder / "t.parquet")
    return pyarrow.dataset.dataset(folder / "t.parquet")


KINDS: dict[str, Callable[[Path], Any]] = {
    "Table": lambda _: TABLE,
    "RecordBatch": lambda _: TABLE.to_batches()[0],
    "RecordBatchReader": lambda _: TABLE.to_reader(),
    "dataset": written,
    "in-memory dataset": lambda _: pyarrow.dataset.dataset(TABLE),
    "pandas": lambda _: TABLE.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get),
    "pandas of Arrow": lambda _: TABLE.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": lambda _: pl.from_arrow(TABLE),
    "LazyFrame": lambda _: pl.from_arrow(TABLE).lazy(),
    "relation": lambda _: duckdb.from_arrow(TABLE),
    "capsule": lambda _: Capsule(),
    "chunked": lambda _: pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(0, 0), TABLE.slice(1)]),
    "slice": lambda _: pa.concat_tables([TABLE, TABLE]).slice(3),
    "slice with an offset": lambda _: pa.concat_tables([TABLE.slice(1, 1), TABLE]).combine_chunks().slice(1),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", ["add", "upsert", "update"])
def test_kinds_of_tables(store: Any, tmp_path: Path, kind: str, verb: str) -> None:
    expected, got = (store.create_collection(name, embedding_function=None) for name in ("expected", "got"))
    expected.add(
        ids=["a", "b", "c"],
        documents=["x", None, ""],
        uris=[None, "u", None],
        embeddings=[[1, 2], [3, 4], [5, 6]],
        metadatas=[{"n": 1, "tags": ["p"]}, {"tags": ["q", "r"]}, {"n": 3}],
    )
    if verb == "update":
        got.add(ids=["a", "b", "c"], embeddings=[[0, 0]] * 3)
    getattr(got, verb)(KINDS[kind](tmp_path))
    assert contents(got) == contents(expected)


def test_on_every_client(client: Any) -> None:
    collection = client.create_collection("things", embedding_function=HashEmbedding(2))
    collection.add(TABLE, strict=True)
    assert collection.get()["ids"] == ["a", "b", "c"]
    assert collection.get("b")["metadatas"] == [{"tags": ["q", "r"]}]
    with refused("'a'", error=ChromaError):
        collection.add(TABLE.slice(0, 1), strict=True)
    collection.upsert(TABLE.slice(0, 1).set_column(4, "n", pa.array([True])))
    collection.update(pd.DataFrame({"id": ["c", "unknown"], "n": [0.5, 1.0]}))
    assert collection.get()["metadatas"] == [{"n": True, "tags": ["p"]}, {"tags": ["q", "r"]}, {"n": 0.5}]
    collection.delete(["a", "b", "c"])
    collection.add(
        pl.DataFrame({"id": ["x", "y"], "document": ["red", "blue"], "embedding": [None, [1.0, 1.0]]})
    )
    rows = collection.get(include=["embeddings"])["embeddings"]
    assert rows[0].tolist() == HashEmbedding(2)(["red"])[0].tolist()
    assert rows[1].tolist() == [1.0, 1.0]


def test_results_go_in(store: Any, plain: Any) -> None:
    plain.add(TABLE)
    for number, result in enumerate(
        (
            plain.get(include=["documents", "metadatas", "uris", "embeddings"]),
            plain.query(
                query_embeddings=[[1, 2]],
                n_results=3,
                include=["documents", "metadatas", "uris", "embeddings"],
            ),
        )
    ):
        other = store.create_collection(f"other{number}", embedding_function=None)
        other.add(result)
        assert contents(other) == contents(plain)


def test_what_is_not_embedded_is(store: Any) -> None:
    embed = HashEmbedding()
    things = store.create_collection("things", embedding_function=embed)
    frame = pd.DataFrame({"id": ["a", "b"], "document": ["red", "blue"], "embedding": [None, np.ones(4)]})
    things.upsert(frame)
    things.update(pd.DataFrame({"id": ["b"], "document": ["green"]}))
    found = things.get(include=["embeddings"])["embeddings"]
    assert found.tolist() == [vector.tolist() for vector in embed(["red", "green"])]
    with refused("row 1", "'d'", "neither an embedding nor a document"):
        things.add(pd.DataFrame({"id": ["c", "d"], "document": ["x", None], "embedding": [np.ones(4), None]}))
    with refused("4", "3"):
        things.add(pd.DataFrame({"id": ["c", "d"], "document": ["x", "y"], "embedding": [np.ones(3), None]}))
    assert things.count() == 2


def test_columns_under_other_names(plain: Any) -> None:
    frame = pd.DataFrame(
        {"key": [1, 2], "vector": [[1, 2], [3, 4]], "text": ["x", "y"], "pos": ["n", "v"], "size": [1, "big"]}
    )
    mapping = {"id": "key", "embedding": "vector", "document": "text", "metadata": ["pos"]}
    plain.add(frame, columns=mapping)
    assert plain.get(include=["documents", "metadatas"])["metadatas"] == [{"pos": "n"}, {"pos": "v"}]
    plain.upsert(frame, columns=mapping | {"metadata": {"pos": "part of speech", "size": "how big"}})
    assert plain.get("2")["metadatas"] == [{"pos": "v", "part of speech": "v", "how big": "big"}]
    plain.upsert(frame, columns=mapping | {"metadata": "size"})
    assert plain.get()["metadatas"][0]["size"] == 1
    assert plain.get()["ids"] == ["1", "2"]


@pytest.mark.parametrize(
    ("columns", "fragments"),
    [
        ({"id": "nope"}, ["'nope'", "the table has id, document"]),
        ({"ids": "id"}, ["'ids'", "id, document, embedding, uri, metadata"]),
        ({"id": 5}, ["columns['id']", "5"]),
        ({"id": "n", "document": "n"}, ["'n' twice"]),
        ({"metadata": ["nope"]}, ["'nope'", "the table has"]),
        ({"metadata": 5}, ["columns['metadata']", "5"]),
        (["id"], ["dict", "['id']"]),
        ({"document": "n"}, ["'document'", "int64", "cast it to string"]),
        ({"embedding": "document"}, ["embedding", "row 0", "[0.1, 0.2]"]),
        ({"metadata": {"n": "#n"}}, ["'#n'"]),
    ],
)
def test_mappings_that_are_wrong(plain: Any, columns: Any, fragments: list[str]) -> None:
    with refused(*fragments):
        plain.add(TABLE, columns=columns)
    assert plain.count() == 0


FLOATS = pa.list_(pa.float32())


def vectors(*rows: Any, type: pa.DataType = FLOATS) -> pa.Table:
    return pa.table({"id": [str(row) for row in range(len(rows))], "embedding": pa.array(rows, type)})


@pytest.mark.parametrize(
    ("table", "fragments"),
    [
        (TABLE.slice(0, 0), ["no rows"]),
        (TABLE.drop_columns(["id"]), ["'id'", "columns={'id': ...}"]),
        (TABLE.set_column(0, "id", pa.array(["a", None, "c"])), ["null at row 1"]),
        (TABLE.set_column(0, "id", pa.array(["a", "b", "a"])), ["'a'"]),
        (TABLE.set_column(0, "id", pa.array([1.5, 2, 3])), ["'id'", "double", "string"]),
        (pa.table([[1], [2]], names=["id", "id"]), ["2 columns named 'id'"]),
        (
            TABLE.append_column("documents", TABLE["document"]),
            ["'documents'", "'document'", "metadata.documents"],
        ),
        (TABLE.append_column("metadata", pa.array([{"a": 1}] * 3)), ["n, tags", "'metadata'"]),
        (vectors([1, 2], [3]), ["row 0 has 2", "row 1 has 1"]),
        (vectors([1, None]), ["null inside a vector at row 0"]),
        (vectors([1, float("nan")]), ["nan"]),
        (vectors([]), ["empty"]),
        (vectors(["x"], type=pa.list_(pa.string())), ["string", "numbers"]),
        (vectors([1e300], type=pa.list_(pa.float64())), ["embedding"]),
        (pa.table({"id": ["a"], "": [1]}), ["empty"]),
        (pa.table({"id": ["a"], "metadata": ["[1]"]}), ["row 0", "JSON object"]),
        (pa.table({"id": ["a"], "metadata": ["{"]}), ["row 0", "JSON"]),
        (pa.table({"id": ["a"], "metadata": ['{"n": 18446744073709551616}']}), ["row 0", "'n'", "64 bits"]),
        (
            pa.table({"id": ["a"], "metadata": ['{"n": [-18446744073709551616]}']}),
            ["row 0", "'n'", "64 bits"],
        ),
        (
            pa.table({"id": ["a"], "metadata[int].y": [1], "metadata[str].y": ["x"]}),
            ["row 0", "several values"],
        ),
        (pd.DataFrame({0: ["a"]}), ["0", "map(str)"]),
        (
            pd.DataFrame([["a", 1]], columns=pd.MultiIndex.from_tuples([("id", "x"), ("n", "y")])),
            ["map(str)"],
        ),
        (pd.DataFrame([["a", 1]], columns=["id", "id"]), ["'id'", "rename"]),
        (pl.DataFrame({"n": [1]}), ["'id'"]),
    ],
)
def test_tables_that_are_wrong(plain: Any, table: Any, fragments: list[str]) -> None:
    with refused(*fragments):
        plain.add(table)
    assert plain.count() == 0


def test_what_is_no_table(plain: Any) -> None:
    with refused("columns is for a table"):
        plain.add(["a"], embeddings=[[1, 2]], columns={})
    with refused("a table has all columns"):
        plain.add(TABLE, embeddings=[[1, 2]])
    with refused("cannot be read as Arrow", error=InvalidTypeError):
        plain.add(Broken())
    ids = pd.Series(["a", "b"])
    plain.add(ids, embeddings=[[1, 2], [3, 4]])  # a column is no table
    assert plain.get()["ids"] == ["a", "b"]


class Broken:
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return pa.array([1]).__arrow_c_array__()


@pytest.mark.parametrize("name", ["embedding", "v"])
def test_vectors_of_ints_and_floats_in_pandas(plain: Any, name: str) -> None:
    """Lists as people type them are vectors, and never metadata."""
    rows = [[1, 0], [0.5, 1], [np.float32(0.25), 2], (3, 4), np.array([5, 6])]
    frame = pd.DataFrame({"id": list("abcde"), "document": list("abcde"), name: rows})
    plain.add(frame, columns={"embedding": name})
    got = plain.get(include=["embeddings", "metadatas"])
    assert got["embeddings"].tolist() == [[1, 0], [0.5, 1], [0.25, 2], [3, 4], [5, 6]]
    assert got["metadatas"] == [None] * 5
    plain.load(frame.assign(id=list("fghij")), columns={"embedding": name})
    assert plain.count() == 10


@pytest.mark.parametrize(
    ("part", "values"),
    [("id", ["a", 5]), ("document", ["a", 5]), ("uri", ["a", 5]), ("embedding", [["a"], [1]])],
)
def test_parts_of_several_types_in_pandas(plain: Any, part: str, values: list[Any]) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "embedding": [[1, 2], [3, 4]]}).assign(**{part: values})
    with refused(f"'{part}'", "several types", error=InvalidTypeError):
        plain.add(frame)
    with refused("'x'", "several types", error=InvalidTypeError):
        plain.add(frame.rename(columns={part: "x"}), columns={part: "x"})
    assert plain.count() == 0


def test_an_index_named_id(plain: Any) -> None:
    frame = pd.DataFrame({"embedding": [[1, 2], [3, 4]], "n": [1, 2]}, index=pd.Index(["a", "b"], name="id"))
    plain.add(frame)
    assert plain.get()["ids"] == ["a", "b"]
    assert plain.get()["metadatas"] == [{"n": 1}, {"n": 2}]
    with refused("'id'", "the table has key, embedding, n", "columns={'id': ...}"):
        plain.add(frame.rename_axis("key"))
    plain.upsert(frame.rename_axis("key"), columns={"id": "key"})
    assert plain.count() == 2


def test_a_row_of_another_dimension(plain: Any) -> None:
    plain.add(TABLE)
    with refused("dimension", error=chroma.errors.ChromaError):
        plain.add(vectors([1, 2, 3]))
    with pytest.raises(InvalidDimensionException):
        plain.add(vectors([1, 2], [3]))
    assert plain.count() == 3


def test_metadata_in_one_column(store: Any) -> None:
    expected = [{"n": 1, "s": "x"}, None, {"n": 2.5}]
    structs = pa.array([{"n": 1.0, "s": "x"}, None, {"n": 2.5, "s": None}])
    texts = pa.array(['{"n": 1, "s": "x"}', None, '{"n": 2.5}'])
    for number, (column, first) in enumerate(((structs, 1.0), (texts, 1))):
        things = store.create_collection(f"things{number}", embedding_function=None)
        things.add(TABLE.select(["id", "embedding"]).append_column("metadata", column))
        assert repr(things.get()["metadatas"]) == repr([{**expected[0], "n": first}, *expected[1:]])


class Dataset:
    """As in the package datasets: rows in an order of their own, and a format with some columns."""

    def __init__(self, table: pa.Table, type: str | None = None, columns: list[str] | None = None) -> None:
        self._table, self.features = table, table.schema
        self.format = {"type": type, "columns": columns or table.column_names}

    def __iter__(self) -> Any:
        return iter(self._table.to_pylist())

    def __len__(self) -> int:
        return self._table.num_rows

    def with_format(self, type: str | None, columns: list[str] | None = None) -> Dataset:
        return Dataset(self._table, type, columns)

    def iter(self, batch_size: int) -> Any:
        assert self.format["type"] == "arrow"
        for start in range(0, len(self), 2):
            yield self._table.slice(start, 2)


class DatasetDict(dict[str, Any]):
    pass


class Column(Sequence[Any]):
    """A column of a dataset."""

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __getitem__(self, index: Any) -> Any:
        return self._values[index]

    def __len__(self) -> int:
        return len(self._values)


@pytest.mark.parametrize("verb", ["add", "load"])
def test_datasets(store: Any, verb: str) -> None:
    expected, got, some = (
        store.create_collection(name, embedding_function=None) for name in ("expected", "got", "some")
    )
    expected.add(TABLE)
    getattr(got, verb)(Dataset(TABLE))
    assert contents(got) == contents(expected)
    getattr(some, verb)(Dataset(TABLE, "numpy", ["id", "embedding"]))
    assert some.get()["metadatas"] == some.get()["documents"] == [None] * 3
    with refused("DatasetDict", "'train', 'test'", "dataset['train']", error=InvalidTypeError):
        getattr(got, verb)(DatasetDict(train=Dataset(TABLE), test=Dataset(TABLE)))
    with refused("transform", "with_format(None)", error=InvalidTypeError):
        getattr(got, verb)(Dataset(TABLE, "custom"))
    assert store.sql("select count(*) as n from d", tables={"d": Dataset(TABLE)}).to_pylist() == [{"n": 3}]


def test_columns_of_datasets(plain: Any) -> None:
    plain.add(
        ids=Column(["a", "b"]),
        embeddings=Column([[1, 2], [3, 4]]),
        documents=Column(["x", "y"]),
        metadatas=Column([{"n": 1}, None]),
    )
    got = plain.get(include=["embeddings", "documents", "metadatas"])
    assert (got["ids"], got["documents"], got["metadatas"]) == (["a", "b"], ["x", "y"], [{"n": 1}, None])
    assert got["embeddings"].tolist() == [[1, 2], [3, 4]]


def test_rows_that_are_dicts_have_a_hint(plain: Any) -> None:
    rows = [{"id": "a", "embedding": [1.0, 2.0]}]
    with refused("Table.from_pylist", error=InvalidTypeError):
        plain.load(rows)
    plain.load(pa.Table.from_pylist(rows))
    assert plain.count() == 1
