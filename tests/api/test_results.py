"""Result shapes: every key, what is included, what is None."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..support.checks import fill, refused

GET_KEYS = {"ids", "embeddings", "documents", "metadatas", "uris", "data", "included"}
QUERY_KEYS = GET_KEYS | {"distances"}


@pytest.fixture
def three(collection: Any) -> Any:
    fill(collection, 3)
    return collection


def present(result: dict[str, Any]) -> set[str]:
    return {key for key, value in result.items() if value is not None} - {"ids", "included"}


def test_get_always_has_every_key(three: Any) -> None:
    assert set(three.get()) == set(three.get(include=[])) == GET_KEYS


def test_query_always_has_every_key(three: Any) -> None:
    assert set(three.query(query_embeddings=[[0, 0]])) == QUERY_KEYS


def test_the_defaults_of_get(three: Any) -> None:
    got = three.get()
    assert present(got) == {"documents", "metadatas"}
    assert got["included"] == ["metadatas", "documents"]


def test_the_defaults_of_query(three: Any) -> None:
    result = three.query(query_embeddings=[[0, 0]])
    assert present(result) == {"documents", "metadatas", "distances"}
    assert result["included"] == ["metadatas", "documents", "distances"]


@pytest.mark.parametrize("field", ["documents", "metadatas", "embeddings", "uris"])
def test_get_includes_what_is_asked_and_no_more(three: Any, field: str) -> None:
    assert present(three.get(include=[field])) == {field}


@pytest.mark.parametrize("field", ["documents", "metadatas", "embeddings", "uris", "distances"])
def test_query_includes_what_is_asked_and_no_more(three: Any, field: str) -> None:
    assert present(three.query(query_embeddings=[[0, 0]], include=[field])) == {field}


def test_nothing_but_ids_can_be_asked(three: Any) -> None:
    assert present(three.get(include=[])) == set()
    assert present(three.query(query_embeddings=[[0, 0]], include=[])) == set()


def test_included_keeps_the_callers_order(three: Any) -> None:
    wish = ["documents", "embeddings", "metadatas"]
    assert three.get(include=wish)["included"] == wish


def test_get_returns_embeddings_as_one_array(three: Any) -> None:
    embeddings = three.get(include=["embeddings"])["embeddings"]
    assert isinstance(embeddings, np.ndarray)
    assert embeddings.shape == (3, 2)


def test_query_returns_one_array_of_embeddings_per_query(three: Any) -> None:
    result = three.query(query_embeddings=[[0, 0], [2, 0]], n_results=2, include=["embeddings"])
    assert isinstance(result["embeddings"], list)
    assert [block.shape for block in result["embeddings"]] == [(2, 2), (2, 2)]
    assert result["embeddings"][1].tolist() == [[2, 0], [1, 0]]


def test_no_hits_give_empty_arrays_of_embeddings(three: Any) -> None:
    assert len(three.get(where={"n": 9}, include=["embeddings"])["embeddings"]) == 0
    result = three.query(query_embeddings=[[0, 0]], where={"n": 9}, include=["embeddings"])
    assert [len(block) for block in result["embeddings"]] == [0]


def test_distances_are_plain_floats(three: Any) -> None:
    [row] = three.query(query_embeddings=[[0, 0]])["distances"]
    assert [type(distance) for distance in row] == [float] * 3


def test_ids_and_values_are_plain_python(three: Any) -> None:
    got = three.get()
    assert type(got["ids"]) is list
    assert type(got["ids"][0]) is str
    assert type(got["metadatas"][0]) is dict
    assert type(got["metadatas"][0]["n"]) is int


def test_results_can_be_written_as_json(three: Any) -> None:
    import json

    assert json.loads(json.dumps(three.query(query_embeddings=[[0, 0]])))["ids"] == [["r0", "r1", "r2"]]


@pytest.mark.parametrize("include", ["documents", {"documents": 1}, ["distances"], ["nonsense"], [5]])
def test_get_refuses_a_bad_include(three: Any, include: Any) -> None:
    with refused("include"):
        three.get(include=include)


@pytest.mark.parametrize("include", ["documents", ["nonsense"], [5]])
def test_query_refuses_a_bad_include(three: Any, include: Any) -> None:
    with refused("include"):
        three.query(query_embeddings=[[0, 0]], include=include)


def test_an_unknown_item_is_named(three: Any) -> None:
    with refused("nonsense"):
        three.get(include=["documents", "nonsense"])


def test_data_without_a_loader_is_refused(three: Any) -> None:
    with refused("data loader"):
        three.get(include=["data"])


def test_data_come_from_the_loader(client: Any) -> None:
    class Loader:
        def __call__(self, uris: Any) -> Any:
            return [None if uri is None else f"loaded {uri}" for uri in uris]

    collection = client.create_collection("things", embedding_function=None, data_loader=Loader())
    collection.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], uris=["u1", "u2"])
    assert collection.get(include=["data"])["data"] == ["loaded u1", "loaded u2"]
    assert collection.query(query_embeddings=[[3, 4]], include=["data"])["data"] == [
        ["loaded u2", "loaded u1"]
    ]


def test_asking_for_data_returns_no_metadatas_and_keeps_the_callers_list(client: Any) -> None:
    """Edge 17."""
    collection = client.create_collection("things", embedding_function=None, data_loader=lambda uris: uris)
    collection.add(ids=["a"], embeddings=[[1, 2]], uris=["u1"], metadatas=[{"n": 1}])
    include = ["data"]
    assert collection.get(include=include)["metadatas"] is None
    assert include == ["data"]


def test_a_record_with_only_a_uri_has_no_metadata(collection: Any) -> None:
    """Edge 16."""
    collection.add(ids=["a"], embeddings=[[1, 2]], uris=["u1"])
    assert collection.get()["metadatas"] == [None]
