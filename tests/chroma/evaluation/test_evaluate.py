"""`evaluate`: its measures are those of published tools, and bad input says what is wrong.

tests/data/judgements.json has random judgements and rankings with the values of trec_eval
(pytrec_eval-terrier 0.5.11) and, for the exponential gain, of ranx 0.3.21 (`ndcg_burges`).
"""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma import Knn, Search
from chroma.api.models.AsyncCollection import AsyncCollection
from chroma.errors import InvalidArgumentError, InvalidTypeError

CASES = json.loads((Path(__file__).parents[2] / "data/judgements.json").read_text())


class Fixed:
    """A collection for ways of one's own, which it does not use."""


def _evaluate(**more: Any) -> Any:
    runs = CASES["runs"]
    return chroma.evaluate(
        Fixed(),  # type: ignore[arg-type]
        {query: query for query in runs},
        CASES["qrels"],
        ways={"fixed": lambda _, query, k: runs[query]},
        **more,
    )


@pytest.mark.parametrize("k", [3, 10])
def test_the_values_are_those_of_trec_eval(k: int) -> None:
    found = _evaluate(k=k, gain="linear")
    for query, right in CASES["trec_eval"][str(k)].items():
        for name, value in right.items():
            assert math.isclose(found.per_query["fixed"][query][name], value, abs_tol=1e-9), (query, name)


@pytest.mark.parametrize("k", [3, 10])
def test_exponential_gain_is_that_of_ranx(k: int) -> None:
    found = _evaluate(k=k)
    for query, right in CASES["ranx"][str(k)].items():
        assert math.isclose(found.per_query["fixed"][query]["ndcg"], right, abs_tol=1e-9), query
    mean = sum(CASES["ranx"][str(k)].values()) / len(CASES["ranx"][str(k)])
    assert math.isclose(found.means["fixed"]["ndcg"], mean, abs_tol=1e-9)


@pytest.fixture
def shelf(client: Any) -> Any:
    things = client.create_collection("things", embedding_function=None)
    things.add(ids=list("abcd"), embeddings=[[0, 0], [1, 0], [2, 0], [9, 9]])
    return things


def test_vectors_and_searches(shelf: Any) -> None:
    queries = {"vector": [0, 0], "search": Search(rank=Knn([9, 9], limit=4)), "none": [5, 5]}
    relevant = {
        "vector": {"a": np.int64(2), "b": np.float32(0), "d": 1},
        "search": ["d", "missing"],
        "none": {"a": 0},
    }
    with pytest.warns(UserWarning, match="'missing'"):
        found = chroma.evaluate(shelf, queries, relevant, k=2)
    assert found.rankings == {"query": {"vector": ["a", "b"], "search": ["d", "c"]}}
    assert found.per_query["query"]["search"] == {
        "ndcg": pytest.approx(1 / (1 + 1 / math.log2(3))), "mrr": 1, "recall": 0.5, "precision": 0.5,
        "map": 0.5,
    }  # fmt: skip
    assert found.means["query"]["recall"] == 0.5
    frame = found.to_pandas()
    assert frame.index.tolist() == ["query"] and frame.loc["query", "mrr"] == 1
    assert found.to_pandas(per_query=True)["query"].tolist() == ["vector", "search"]
    assert "query" in str(found) and "0.5000" in str(found) and "Evaluation at 2" in found._repr_html_()


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"k": 0}, InvalidArgumentError, "k to be at least 1"),
        ({"k": 1.5}, InvalidTypeError, "k to be an int"),
        ({"gain": "square"}, InvalidArgumentError, "exponential, linear"),
        ({"queries": ["q"]}, InvalidTypeError, "queries to be a dict"),
        ({"relevant": {"other": ["a"]}}, InvalidArgumentError, "not among queries.*other"),
        ({"relevant": {"q": "a"}}, InvalidTypeError, r"relevant\['q'\]"),
        ({"relevant": {"q": {"a": "high"}}}, InvalidArgumentError, r"relevant\['q'\]\['a'\]"),
        ({"relevant": {"q": {"a": float("nan")}}}, InvalidArgumentError, "finite"),
        ({"relevant": {"q": {"a": 2000}}}, InvalidArgumentError, "exponential gain.*2000"),
        ({"relevant": {"q": {"a": 1e-20}}}, InvalidArgumentError, "exponential gain.*1e-20"),
        ({"relevant": {"q": {"a": 10**400}}, "gain": "linear"}, InvalidArgumentError, "linear gain"),
        ({"relevant": {"q": []}}, InvalidArgumentError, "no query has a relevant record"),
        ({"ways": {"w": lambda *_: None}}, InvalidTypeError, "'w' to return a list of ids for 'q'"),
        ({"ways": {"w": lambda *_: ["a", "a"]}}, InvalidArgumentError, "more than once"),
        ({"ways": "query"}, InvalidTypeError, "ways to be a dict"),
        ({"ways": {}}, InvalidArgumentError, "ways is empty"),
        ({"relevant": {"q": [["a"]]}}, InvalidTypeError, "each a str"),
        ({"relevant": {"q": {1.5: 1}}}, InvalidTypeError, "each a str"),
        ({"ways": {"w": "query"}}, InvalidTypeError, "ways to be a dict of functions"),
    ],
)
def test_bad_input(changes: dict[str, Any], kind: type[Exception], text: str) -> None:
    arguments: dict[str, Any] = {"queries": {"q": [1, 2]}, "relevant": {"q": ["a"]}}
    with pytest.raises(kind, match=text):
        chroma.evaluate(Fixed(), **(arguments | changes))  # type: ignore[arg-type]


def test_an_asynchronous_collection_is_refused() -> None:
    collection: Any = AsyncCollection.__new__(AsyncCollection)
    with pytest.raises(InvalidTypeError, match="synchronous"):
        chroma.evaluate(collection, {"q": [1]}, {"q": ["a"]})


def test_whole_numbers_and_arrays_name_records() -> None:
    import numpy as np

    collection = chroma.EphemeralClient(private=True).create_collection("numbers", embedding_function=None)
    collection.add(ids=[7, 8], embeddings=[[1.0, 0.0], [0.0, 1.0]])
    for given in ([7], {7: 2}, np.array([7]), np.array(["7"])):
        found = chroma.evaluate(collection, {1: [1.0, 0.0]}, {1: given}, k=1)
        assert found.means["query"]["mrr"] == 1


def test_relevant_records_that_are_not_stored_give_a_warning() -> None:
    collection = chroma.EphemeralClient(private=True).create_collection("some", embedding_function=None)
    collection.add(ids=["a"], embeddings=[[1.0, 0.0]])
    queries, message = {"q": [1.0, 0.0]}, "1 of 2 records that are not in the collection 'some', such as 'b'"
    with pytest.warns(UserWarning, match=message):
        chroma.evaluate(collection, queries, {"q": ["a", "b"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        chroma.evaluate(collection, queries, {"q": {"a": 1, "b": 0}})
