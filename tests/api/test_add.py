"""add: what is stored, what is ignored, what is refused as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma.errors import DuplicateIDError, InvalidArgumentError

from ..support.checks import float32, refused
from ..support.tiny_embedding import HashEmbedding, vector_of


def test_a_record_comes_back_whole(collection: Any) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"n": 1}], documents=["text"], uris=["u://1"])
    got = collection.get(include=["embeddings", "metadatas", "documents", "uris"])
    assert got["ids"] == ["a"]
    assert got["embeddings"].tolist() == [[1.0, 2.0]]
    assert (got["metadatas"], got["documents"], got["uris"]) == ([{"n": 1}], ["text"], ["u://1"])


def test_single_values_need_no_list(collection: Any) -> None:
    collection.add(ids="a", embeddings=[1, 2], metadatas={"n": 1}, documents="text")
    assert collection.get()["metadatas"] == [{"n": 1}]


def test_what_is_not_given_reads_back_as_none(collection: Any) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]])
    got = collection.get(include=["metadatas", "documents", "uris"])
    assert (got["metadatas"], got["documents"], got["uris"]) == ([None], [None], [None])


def test_none_entries_are_kept_as_none(collection: Any) -> None:
    collection.add(
        ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[None, {"n": 1}], documents=["", None]
    )
    got = collection.get()
    assert (got["metadatas"], got["documents"]) == ([None, {"n": 1}], ["", None])


def test_documents_are_embedded(collection: Any, embed: HashEmbedding) -> None:
    collection.add(ids=["a"], documents=["hello"])
    assert collection.get(include=["embeddings"])["embeddings"].tolist() == [vector_of("hello")]
    assert embed.calls == [["hello"]]


def test_given_embeddings_win_over_documents(collection: Any, embed: HashEmbedding) -> None:
    collection.add(ids=["a"], documents=["hello"], embeddings=[[1, 2]])
    assert embed.calls == []


def test_an_existing_id_is_left_alone(collection: Any) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["first"], metadatas=[{"n": 1}])
    collection.add(ids=["b", "a"], embeddings=[[3, 4], [5, 6]], documents=["b", "second"])
    got = collection.get(include=["documents", "metadatas", "embeddings"])
    assert got["ids"] == ["a", "b"]
    assert got["documents"] == ["first", "b"]
    assert got["embeddings"].tolist() == [[1, 2], [3, 4]]


def test_known_ids_are_not_embedded_again(collection: Any, embed: HashEmbedding) -> None:
    """Edge 5."""
    collection.add(ids=["a"], documents=["first"])
    collection.add(ids=["a", "b"], documents=["second", "third"])
    assert embed.calls == [["first"], ["third"]]
    assert collection.get()["documents"] == ["first", "third"]


def test_nothing_is_embedded_when_all_ids_are_known(collection: Any, embed: HashEmbedding) -> None:
    """Edge 5."""
    collection.add(ids=["a"], documents=["first"])
    collection.add(ids=["a"], documents=["second"])
    assert embed.calls == [["first"]]


def test_an_existing_id_still_has_its_dimension_checked(collection: Any) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]])
    with refused("Collection expecting embedding with dimension of 2, got 3"):
        collection.add(ids=["a"], embeddings=[[1, 2, 3]])


@pytest.mark.parametrize("verb", ["add", "upsert", "update"])
def test_duplicate_ids_in_one_call_are_refused(collection: Any, verb: str) -> None:
    with refused("twin", error=DuplicateIDError):
        getattr(collection, verb)(ids=["twin", "b", "twin"], embeddings=[[1, 2], [3, 4], [5, 6]])
    assert collection.count() == 0


def test_one_bad_record_stops_the_whole_call(collection: Any) -> None:
    with refused("metadata", "bad"):
        collection.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"n": 1}, {"bad": object()}])
    assert collection.count() == 0


def test_a_refused_first_add_does_not_fix_the_dimension(collection: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"bad": object()}])
    collection.add(ids=["a"], embeddings=[[1, 2, 3]])
    assert collection.count() == 1


def test_a_failing_embedding_function_leaves_nothing(client: Any) -> None:
    class Failing(HashEmbedding):
        def __call__(self, input: Any) -> Any:
            raise RuntimeError("out of order")

    collection = client.create_collection("things", embedding_function=Failing())
    with pytest.raises(RuntimeError, match="out of order"):
        collection.add(ids=["a"], documents=["hello"])
    assert collection.count() == 0


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int32", "int64", "int8", "uint8", "int16"]
)
def test_every_numeric_dtype_is_stored_as_float32(collection: Any, dtype: str) -> None:
    """Edge 33."""
    vectors = np.array([[1, 2], [3, 4]], dtype=dtype)
    collection.add(ids=["a", "b"], embeddings=vectors)
    assert float32(collection.get(include=["embeddings"])["embeddings"]) == float32(vectors)


def test_strided_and_big_endian_arrays_are_stored_right(collection: Any) -> None:
    vectors = np.arange(8, dtype=">f8").reshape(2, 4)[:, ::2]
    collection.add(ids=["a", "b"], embeddings=vectors)
    assert collection.get(include=["embeddings"])["embeddings"].tolist() == [[0, 2], [4, 6]]


@pytest.mark.parametrize(
    "rows", [[(1, 2), (3, 4)], ((1, 2), (3, 4)), [np.array([1, 2]), np.array([3.0, 4.0])]]
)
def test_rows_may_be_tuples_or_arrays(collection: Any, rows: Any) -> None:
    """Edge 33."""
    collection.add(ids=["a", "b"], embeddings=rows)
    assert collection.get(include=["embeddings"])["embeddings"].tolist() == [[1, 2], [3, 4]]


def test_columns_may_be_arrays_and_series(collection: Any) -> None:
    """Edge 33."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"id": ["a", "b"], "text": ["x", "y"], "vector": [[1.0, 2.0], [3.0, 4.0]]})
    collection.add(ids=frame["id"], embeddings=frame["vector"], documents=frame["text"])
    assert collection.get()["documents"] == ["x", "y"]


def test_columns_may_be_arrow_arrays(collection: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1, 2, 3, 4], pa.float32()), 2)
    collection.add(ids=pa.array(["a", "b"]), embeddings=vectors, documents=pa.array(["x", None]))
    got = collection.get(include=["embeddings", "documents"])
    assert (got["embeddings"].tolist(), got["documents"]) == ([[1, 2], [3, 4]], ["x", None])


def test_the_callers_values_are_not_changed(collection: Any) -> None:
    ids, vectors, metadatas = ["a"], [[1, 2]], [{"n": 1, "gone": None}]
    collection.upsert(ids=ids, embeddings=vectors, metadatas=metadatas)
    assert (ids, vectors, metadatas) == (["a"], [[1, 2]], [{"n": 1, "gone": None}])


def test_later_changes_to_the_callers_array_do_not_reach_the_store(collection: Any) -> None:
    vectors = np.array([[1, 2]], dtype=np.float32)
    collection.add(ids=["a"], embeddings=vectors)
    vectors[:] = 9
    assert collection.get(include=["embeddings"])["embeddings"].tolist() == [[1, 2]]


def test_added_records_survive_reopening(client: Any, reopen: Any) -> None:
    client.create_collection("things", embedding_function=None).add(
        ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"n": 1}, None], documents=["x", "y"]
    )
    got = reopen(client).get_collection("things").get(include=["embeddings", "metadatas", "documents"])
    assert got["ids"] == ["a", "b"]
    assert got["embeddings"].tolist() == [[1, 2], [3, 4]]
    assert (got["metadatas"], got["documents"]) == ([{"n": 1}, None], ["x", "y"])


def test_threads_may_add_through_one_client(collection: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def add(worker: int) -> None:
        for i in range(25):
            collection.add(ids=[f"{worker}-{i}"], embeddings=[[worker, i]])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    assert collection.count() == 200
