"""query: nearest records, restricted, in the order of distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..support.checks import fill, refused
from ..support.tiny_embedding import HashEmbedding


@pytest.fixture
def five(collection: Any) -> Any:
    fill(collection, 5)
    return collection


def test_the_nearest_come_first(five: Any) -> None:
    result = five.query(query_embeddings=[[3.2, 0]], n_results=3)
    assert result["ids"] == [["r3", "r4", "r2"]]
    assert result["distances"][0] == pytest.approx([0.04, 0.64, 1.44], rel=1e-5)


def test_documents_and_metadatas_come_along(five: Any) -> None:
    result = five.query(query_embeddings=[[3, 0]], n_results=1)
    assert (result["documents"], result["metadatas"]) == ([["text 3"]], [[{"n": 3}]])


def test_several_queries_are_answered_one_by_one(five: Any) -> None:
    result = five.query(query_embeddings=[[0, 0], [4, 0]], n_results=2)
    assert result["ids"] == [["r0", "r1"], ["r4", "r3"]]


def test_one_vector_needs_no_list(five: Any) -> None:
    assert five.query(query_embeddings=[4, 0], n_results=1)["ids"] == [["r4"]]


def test_ten_results_are_the_default(collection: Any) -> None:
    fill(collection, 12)
    assert len(collection.query(query_embeddings=[[0, 0]])["ids"][0]) == 10


def test_more_results_than_records_returns_what_there_is(five: Any) -> None:
    assert len(five.query(query_embeddings=[[0, 0]], n_results=1000)["ids"][0]) == 5


def test_an_empty_collection_answers_with_empty_lists(collection: Any) -> None:
    result = collection.query(query_embeddings=[[1, 2], [3, 4]])
    assert (result["ids"], result["distances"]) == ([[], []], [[], []])


def test_ties_come_in_insertion_order(collection: Any) -> None:
    collection.add(ids=["c", "a", "b"], embeddings=[[1, 0], [0, 1], [-1, 0]])
    assert collection.query(query_embeddings=[[0, 0]])["ids"] == [["c", "a", "b"]]


def test_texts_are_embedded(collection: Any, embed: HashEmbedding) -> None:
    collection.add(ids=["a", "b"], documents=["hello", "world"])
    assert collection.query(query_texts=["world"], n_results=1)["ids"] == [["b"]]
    assert collection.query(query_texts="hello", n_results=1)["ids"] == [["a"]]


def test_programs_written_for_chroma_may_give_texts_beside_vectors(
    collection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, the vectors win, and the texts are ignored."""
    monkeypatch.setattr("chroma.internal.chromadb_name.taken", True)
    collection.add(ids=["a", "b"], embeddings=[[0, 0, 0, 0], [9, 9, 9, 9]])
    with pytest.warns(UserWarning, match="query_embeddings and query_texts are both questions"):
        result = collection.query(query_texts=["x"], query_embeddings=[[9, 9, 9, 9]], n_results=1)
    assert result["ids"] == [["b"]]


def test_where_restricts_before_ranking(five: Any) -> None:
    result = five.query(query_embeddings=[[0, 0]], n_results=2, where={"n": {"$gte": 3}})
    assert result["ids"] == [["r3", "r4"]]


def test_where_document_restricts_before_ranking(five: Any) -> None:
    result = five.query(query_embeddings=[[0, 0]], where_document={"$contains": "4"})
    assert result["ids"] == [["r4"]]


def test_ids_restrict_before_ranking(five: Any) -> None:
    result = five.query(query_embeddings=[[0, 0]], n_results=1, ids=["r4", "r2"])
    assert result["ids"] == [["r2"]]


def test_unknown_ids_are_ignored(five: Any) -> None:
    """Edge 2."""
    result = five.query(query_embeddings=[[0, 0]], ids=["r4", "nobody"])
    assert result["ids"] == [["r4"]]
    assert five.query(query_embeddings=[[0, 0]], ids=["nobody"])["ids"] == [[]]


def test_duplicate_ids_are_tolerated(five: Any) -> None:
    assert five.query(query_embeddings=[[0, 0]], ids=["r4", "r4"])["ids"] == [["r4"]]


def test_an_empty_id_list_matches_nothing(five: Any) -> None:
    assert five.query(query_embeddings=[[0, 0]], ids=[])["ids"] == [[]]


def test_no_match_is_an_empty_list(five: Any) -> None:
    assert five.query(query_embeddings=[[0, 0], [1, 1]], where={"n": 99})["ids"] == [[], []]


def test_an_empty_where_is_no_filter(five: Any) -> None:
    """Edge 23."""
    assert len(five.query(query_embeddings=[[0, 0]], where={}, where_document={})["ids"][0]) == 5


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "int64", "uint8"])
def test_queries_may_be_arrays_of_any_number_type(five: Any, dtype: str) -> None:
    """Edge 33."""
    assert five.query(query_embeddings=np.array([[4, 0]], dtype=dtype), n_results=1)["ids"] == [["r4"]]
    assert five.query(query_embeddings=np.array([4, 0], dtype=dtype), n_results=1)["ids"] == [["r4"]]
    assert five.query(query_embeddings=[np.array([4, 0], dtype=dtype)], n_results=1)["ids"] == [["r4"]]


def test_queries_may_be_tuples(five: Any) -> None:
    """Edge 33."""
    assert five.query(query_embeddings=[(4, 0), (0, 0)], n_results=1)["ids"] == [["r4"], ["r0"]]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e39])
def test_a_query_that_is_not_finite_is_refused(five: Any, bad: float) -> None:
    """Edge 13."""
    with refused("query_embeddings"):
        five.query(query_embeddings=[[bad, 0]])


def test_a_wrong_dimension_is_refused(five: Any) -> None:
    with refused("Collection expecting embedding with dimension of 2, got 3"):
        five.query(query_embeddings=[[1, 2, 3]])


def test_no_query_is_refused(five: Any) -> None:
    with refused("At least one of", "must be provided"):
        five.query()


@pytest.mark.parametrize("k", [0, -1])
def test_n_results_must_be_positive(five: Any, k: int) -> None:
    with refused("n_results", error=TypeError):
        five.query(query_embeddings=[[0, 0]], n_results=k)


def test_n_results_must_be_an_int(five: Any) -> None:
    with refused("n_results"):
        five.query(query_embeddings=[[0, 0]], n_results=1.5)


@pytest.mark.parametrize("bad", [[[True, False]], [["x", "y"]], "text", [[[1.0, 2.0]]], []])
def test_queries_that_are_not_vectors_are_refused(five: Any, bad: Any) -> None:
    with refused("mbeddings"):
        five.query(query_embeddings=bad)


def test_queries_of_unequal_dimension_are_refused(five: Any) -> None:
    with refused():
        five.query(query_embeddings=[[1, 2], [1, 2, 3]])
