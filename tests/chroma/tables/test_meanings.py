"""A column means the same on every way in: frames, tables, files and streams."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest

from chroma.errors import InvalidArgumentError

from ...support.checks import refused


def _parquet(folder: Path, frame: pd.DataFrame) -> Path:
    frame.to_parquet(folder / "t.parquet")
    return folder / "t.parquet"


def _feather(folder: Path, frame: pd.DataFrame) -> Path:
    table = pa.Table.from_pandas(frame)
    with pa.ipc.new_file(folder / "t.arrow", table.schema) as writer:
        writer.write_table(table)
    return folder / "t.arrow"


def _csv(folder: Path, frame: pd.DataFrame) -> Path:
    texts = frame.map(lambda value: json.dumps(value) if isinstance(value, (list, dict)) else value)
    texts.to_csv(folder / "t.csv", index=frame.index.name is not None)
    return folder / "t.csv"


def _lines(folder: Path, frame: pd.DataFrame) -> Path:
    rows = (frame.reset_index() if frame.index.name else frame).to_dict("records")
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder / "t.jsonl"


WAYS: dict[str, tuple[str, Callable[[Path, pd.DataFrame], Any]]] = {
    "add a frame": ("add", lambda _, frame: frame),
    "add a table": ("add", lambda _, frame: pa.Table.from_pandas(frame)),
    "add a polars frame": ("add", lambda _, frame: pl.from_arrow(pa.Table.from_pandas(frame))),
    "load a frame": ("load", lambda _, frame: frame),
    "load batches": ("load", lambda _, frame: iter(pa.Table.from_pandas(frame).to_batches())),
    "load Parquet": ("load", _parquet),
    "load Arrow": ("load", _feather),
    "load CSV": ("load", _csv),
    "load JSON lines": ("load", _lines),
}
PLAIN = {"id": ["a", "b"], "embedding": [[1.0, 2.0], [3.0, 4.0]]}


@pytest.fixture(params=WAYS)
def put(request: pytest.FixtureRequest, plain: Any, tmp_path: Path) -> Callable[..., list[Any]]:
    """Store a frame on one of the ways. Returns the metadata."""
    verb, made = WAYS[request.param]

    def put(frame: pd.DataFrame, **options: Any) -> list[Any]:
        getattr(plain, verb)(made(tmp_path, frame), **options)
        assert plain.get()["ids"] == ["a", "b"]
        assert plain.get(include=["embeddings"])["embeddings"].tolist() == PLAIN["embedding"]
        return list(plain.get()["metadatas"])

    return put


def test_metadata_as_text(put: Any) -> None:
    texts = ['{"n": 1, "s": ["x"]}', '{"n": 2.5}']
    assert put(pd.DataFrame({**PLAIN, "metadata": texts})) == [{"n": 1, "s": ["x"]}, {"n": 2.5}]


@pytest.mark.parametrize("value", ["hello", "[1]", 5])
def test_metadata_that_is_no_object(put: Any, value: Any) -> None:
    with refused("metadata", "JSON", "'metadata.metadata'" if value != "[1]" else "object"):
        put(pd.DataFrame({**PLAIN, "metadata": [value, value]}))


def test_vectors_as_text(put: Any) -> None:
    assert put(pd.DataFrame({**PLAIN, "embedding": ["[1, 2]", "[3.0, 4]"]})) == [None, None]


def test_a_text_that_is_no_vector(put: Any) -> None:
    with refused("'[3, x]'", "[0.1, 0.2]"):
        put(pd.DataFrame({**PLAIN, "embedding": ["[1, 2]", "[3, x]"]}))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("documents", "document"), ("uris", "uri"), ("metadatas", "metadata"), ("embeddings", "embedding"),
     ("ids", "id"), ("Document", "document"), (" uri ", "uri"), ("DOCUMENTS", "document")],
)  # fmt: skip
def test_names_that_nearly_are_parts(put: Any, name: str, meant: str) -> None:
    frame = pd.DataFrame({**PLAIN, name: ["x", "y"]})
    with refused(repr(name), f"call it {meant!r}", f"'metadata.{name}'"):
        put(frame)
    assert put(frame.rename(columns={name: f"metadata.{name}"})) == [{name: "x"}, {name: "y"}]


def test_other_spellings_beside_the_part_are_keys(put: Any) -> None:
    frame = pd.DataFrame({**PLAIN, "ID": [1, 2], "Metadata": ["x", "y"]})
    assert put(frame) == [{"ID": 1, "Metadata": "x"}, {"ID": 2, "Metadata": "y"}]


def test_a_missing_part_with_another_spelling(put: Any) -> None:
    with refused("'Id'", "call it 'id'", "columns={'id': 'Id'}"):
        put(pd.DataFrame({**PLAIN, "n": [1, 2]}).rename(columns={"id": "Id"}))


def test_the_spelling_may_be_mapped(put: Any) -> None:
    frame = pd.DataFrame({**PLAIN, "Documents": ["x", "y"]})
    assert put(frame, columns={"document": "Documents"}) == [None, None]


@pytest.mark.parametrize(
    "name", ["text", "content", "body", "page_content", "chunk", "passage", "Text", " TEXT "]
)
def test_other_names_of_documents(put: Any, plain: Any, name: str) -> None:
    frame = pd.DataFrame({**PLAIN, name: ["x", "y"], "n": [1, 2]})
    assert put(frame) == [{"n": 1}, {"n": 2}]
    assert plain.get()["documents"] == ["x", "y"]
    assert plain.get(where_document={"$contains": "x"})["ids"] == ["a"]


def test_other_names_of_documents_with_chosen_metadata(put: Any, plain: Any) -> None:
    frame = pd.DataFrame({**PLAIN, "text": ["x", "y"], "n": [1, 2], "body": ["v", "w"]})
    assert put(frame, columns={"metadata": ["n", "body"]}) == [{"n": 1, "body": "v"}, {"n": 2, "body": "w"}]
    assert plain.get()["documents"] == ["x", "y"]


@pytest.mark.parametrize("columns", [{"document": "text"}, {"document": "body"}])
def test_two_names_of_documents(put: Any, plain: Any, columns: dict[str, str]) -> None:
    frame = pd.DataFrame({**PLAIN, "text": ["x", "y"], "body": ["v", "w"]})
    with refused("'text' and 'body'", "columns={'document': 'text'}"):
        put(frame)
    assert plain.count() == 0
    other = "body" if columns["document"] == "text" else "text"
    assert put(frame, columns=columns) == [{other: value} for value in frame[other]]


@pytest.mark.parametrize(
    "more",
    [
        {"text": ["x", "y"], "document": ["v", "w"]},  # there is a document
        {"text": [1, 2]},  # no texts
        {"metadata.text": ["x", "y"]},
    ],
)
def test_what_is_no_document(put: Any, plain: Any, more: dict[str, Any]) -> None:
    assert [entry["text"] for entry in put(pd.DataFrame({**PLAIN, **more}))] == next(iter(more.values()))
    assert plain.get()["documents"] == more.get("document", [None, None])


def test_a_table_without_anything_to_embed(plain: Any) -> None:
    frame = pd.DataFrame({"id": ["a"], "words": ["x"]})
    with refused("neither embeddings nor documents", "id, words", "columns={'document': ...}"):
        plain.add(frame)
    with refused("neither", "'document'", "columns={'document': ...}"):
        plain.load(frame)


def test_rows_of_a_collection_with_such_a_key(plain: Any) -> None:
    """The tables that a collection gives mean the same again."""
    plain.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"text": "x", "content": "y"}])
    for table in (plain.to_arrow(), plain.to_pandas(), plain.get(include=["embeddings", "metadatas"])):
        plain.delete(ids=["a"])
        plain.add(table)
        assert plain.get()["metadatas"] == [{"text": "x", "content": "y"}]
        assert plain.get()["documents"] == [None]


def test_an_index_without_a_name_is_no_data(put: Any) -> None:
    assert put(pd.DataFrame({**PLAIN, "n": [1, 2]}, index=["x", "y"])) == [{"n": 1}, {"n": 2}]


def test_an_index_with_a_name_is_data(put: Any) -> None:
    frame = pd.DataFrame({**PLAIN, "n": [1, 2]}, index=pd.Index(["x", "y"], name="sku"))
    assert put(frame) == [{"sku": "x", "n": 1}, {"sku": "y", "n": 2}]


def test_dicts_keep_the_type_of_each_value(plain: Any) -> None:
    dicts = [{"k": 1, "t": pd.Timestamp("2024-05-01")}, {"k": 2.5}, {"k": "x", "n": None}, {"k": True}, {}]
    expected = [{"k": 1, "t": "2024-05-01T00:00:00"}, {"k": 2.5}, {"k": "x"}, {"k": True}, None]
    frame = pd.DataFrame({"id": list("abcde"), "embedding": [[1, 2]] * 5, "metadata": dicts})
    plain.add(frame)
    assert repr(plain.get()["metadatas"]) == repr(expected)
    with refused("'metadata'", "'k'", "metadatas[1]", "flatten"):
        plain.upsert(frame.assign(metadata=[{}, {"k": {"a": 1}}, None, None, None]))
    with refused("'metadata'", "'k'", "index 2", "64 bits"):
        plain.upsert(frame.assign(metadata=[{}, {}, {"k": 2**63}, None, None]))
    with refused("'metadata'", "5 at row 4"):
        plain.upsert(frame.assign(metadata=[{}, {"k": 1}, None, None, 5]))


def test_maps_are_metadata(plain: Any) -> None:
    pairs = pa.array([[("a", 1), ("b", 2)], None, []], pa.map_(pa.string(), pa.int64()))
    plain.add(pa.table({"id": ["a", "b", "c"], "embedding": [[1, 2]] * 3, "metadata": pairs}))
    assert plain.get()["metadatas"] == [{"a": 1, "b": 2}, None, None]
    twice = pa.array([[("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64()))
    with refused("row 0", "one key twice"):
        plain.upsert(pa.table({"id": ["a"], "metadata": twice}))


def test_categories_of_json_are_metadata(plain: Any) -> None:
    texts = pa.array(['{"n": 1}'] * 2).dictionary_encode()
    plain.add(pa.table({**PLAIN, "metadata": texts}))
    assert plain.get()["metadatas"] == [{"n": 1}, {"n": 1}]


class Tensor:
    """As torch has it."""

    def __init__(self, values: Any, error: str = "") -> None:
        self._values, self._error = np.asarray(values), error

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self._error:
            raise TypeError(self._error)
        return self._values.astype(dtype or self._values.dtype)

    def __len__(self) -> int:
        return len(self._values)

    def tolist(self) -> Any:
        return self._values.tolist()


class Exchanged:
    """A tensor with nothing but the interface of DLPack."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    def __dlpack__(self, **options: Any) -> Any:
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self._values.__dlpack_device__()


@pytest.mark.parametrize("kind", [Tensor, Exchanged, lambda values: Tensor(values, "on another device")])
def test_tensors_are_vectors(plain: Any, kind: Any) -> None:
    rows = PLAIN["embedding"]
    plain.add(ids=["a", "b"], embeddings=kind(rows))
    plain.add(ids=["c", "d"], embeddings=[kind(row) for row in rows])
    tensors = pd.Series([kind(row) for row in rows], dtype=object)
    plain.add(pd.DataFrame({"id": ["e", "f"], "embedding": tensors}))
    assert plain.get(include=["embeddings"])["embeddings"].tolist() == rows * 3


def test_a_tensor_that_cannot_be_read(plain: Any) -> None:
    class Far:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            raise RuntimeError("on another device")

    for vectors in (Far(), [Far()]):
        with refused("embeddings", "Far", "on another device", "cpu()"):
            plain.add(ids=["a"], embeddings=vectors)


def test_masked_numbers_are_no_vector(plain: Any) -> None:
    masked = np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 0], [0, 1]])
    with refused("embeddings[1][1]", "masked"):
        plain.add(ids=["a", "b"], embeddings=masked)
    with refused("embeddings[1][1]", "masked"):
        plain.add(ids=["a", "b"], embeddings=list(masked))
    with refused("embedding[1][1]", "masked"):
        plain.add(pd.DataFrame({"id": ["a", "b"], "embedding": pd.Series(list(masked), dtype=object)}))
    plain.add(ids=["a", "b"], embeddings=np.ma.array([[1.0, 2.0], [3.0, 4.0]]))
    assert plain.count() == 2


def test_names_that_are_not_unicode(plain: Any) -> None:
    frame = pd.DataFrame([["a", [1, 2], 3]], columns=pd.Index(["id", "embedding", "\ud800"], dtype=object))
    with pytest.raises(InvalidArgumentError, match="lone surrogate") as caught:
        plain.add(frame)
    str(caught.value).encode()


def test_dicts_of_a_transform_are_rows_too(plain: Any) -> None:
    day = pd.Timestamp("2024-05-01")

    def changed(part: Any) -> list[dict[str, Any]]:
        return [{"id": "a", "embedding": [1, 2], "day": day, "n": np.int8(3)}]

    plain.load(pd.DataFrame(PLAIN), transform=changed)
    assert plain.get()["metadatas"] == [{"day": "2024-05-01T00:00:00", "n": 3}]
