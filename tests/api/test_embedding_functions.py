"""Embedding functions on collections: which one runs, what is remembered, what conflicts."""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pytest

import chroma

from ..support.checks import refused
from ..support.tiny_embedding import CosineEmbedding, HashEmbedding, OtherEmbedding, vector_of


def persisted(collection: Any) -> Any:
    return collection.configuration_json["embedding_function"]


def stored(collection: Any) -> Any:
    return collection.get(include=["embeddings"])["embeddings"].tolist()


def test_a_known_function_is_persisted_with_its_config(client: Any) -> None:
    collection = client.create_collection("things", embedding_function=HashEmbedding(3))
    expected = {"type": "known", "name": "tests_hash", "config": {"dim": 3}}
    assert expected.items() <= persisted(collection).items()


def test_the_persisted_function_is_used_after_reopening(client: Any, reopen: Any) -> None:
    client.create_collection("things", embedding_function=HashEmbedding(3))
    collection = reopen(client).get_collection("things")
    collection.add(ids=["a"], documents=["hello"])
    assert stored(collection) == [vector_of("hello", 3)]


def test_the_persisted_function_is_used_even_when_none_is_passed(client: Any, reopen: Any) -> None:
    """Edge 25."""
    client.create_collection("things", embedding_function=HashEmbedding(3))
    collection = reopen(client).get_collection("things", embedding_function=None)
    collection.add(ids=["a"], documents=["hello"])
    assert stored(collection) == [vector_of("hello", 3)]


def test_queries_go_through_embed_query(client: Any) -> None:
    collection = client.create_collection("things", embedding_function=CosineEmbedding())
    collection.add(ids=["a", "b"], documents=["drawer", "abc"])
    assert collection.query(query_texts=["reward"], n_results=1)["ids"] == [["a"]]


def test_none_means_none(client: Any) -> None:
    """Edge 25."""
    collection = client.create_collection("things", embedding_function=None)
    assert persisted(collection) is None
    with refused("embedding function"):
        collection.add(ids=["a"], documents=["hello"])
    with refused("embedding function"):
        collection.query(query_texts=["hello"])
    assert collection.count() == 0


def test_none_still_means_none_after_reopening(client: Any, reopen: Any) -> None:
    """Edge 25."""
    client.create_collection("things", embedding_function=None)
    with refused("embedding function"):
        reopen(client).get_collection("things").add(ids=["a"], documents=["hello"])


def test_a_collection_without_a_function_accepts_one_later(client: Any) -> None:
    client.create_collection("things", embedding_function=None)
    collection = client.get_collection("things", embedding_function=HashEmbedding())
    collection.add(ids=["a"], documents=["hello"])
    assert stored(collection) == [vector_of("hello")]


@pytest.mark.parametrize("verb", ["get_collection", "get_or_create_collection"])
def test_another_function_conflicts(client: Any, verb: str) -> None:
    client.create_collection("things", embedding_function=HashEmbedding())
    with refused("Embedding function conflict", "tests_other", "tests_hash"):
        getattr(client, verb)("things", embedding_function=OtherEmbedding())


def test_create_with_get_or_create_conflicts_too(client: Any) -> None:
    """Edge 26."""
    client.create_collection("things", embedding_function=HashEmbedding())
    with refused("Embedding function conflict", "tests_other", "tests_hash"):
        client.create_collection("things", embedding_function=OtherEmbedding(), get_or_create=True)


def test_another_config_warns_and_the_passed_one_is_used(client: Any) -> None:
    """Edge 26."""
    client.create_collection("things", embedding_function=HashEmbedding(3))
    with pytest.warns(UserWarning, match="tests_hash"):
        collection = client.get_collection("things", embedding_function=HashEmbedding(2))
    collection.add(ids=["a"], documents=["hello"])
    assert stored(collection) == [vector_of("hello", 2)]


def test_a_plain_callable_is_legacy(client: Any) -> None:
    class Plain:
        def __call__(self, input: Any) -> Any:
            return [[1.0, 2.0] for _ in input]

    collection = client.create_collection("things", embedding_function=Plain())
    assert persisted(collection) == {"type": "legacy"}
    collection.add(ids=["a"], documents=["hello"])
    assert stored(collection) == [[1, 2]]


def test_a_legacy_collection_accepts_any_function(client: Any) -> None:
    class Plain:
        def __call__(self, input: Any) -> Any:
            return [[1.0, 2.0] for _ in input]

    client.create_collection("things", embedding_function=Plain())
    client.get_collection("things", embedding_function=HashEmbedding()).add(ids=["a"], documents=["x"])
    assert client.get_collection("things", embedding_function=Plain()).count() == 1


def test_the_call_must_have_the_right_signature(client: Any) -> None:
    class Wrong:
        def __call__(self, texts: Any) -> Any:
            return []

    with refused("input"):
        client.create_collection("things", embedding_function=Wrong())


def test_two_functions_with_different_names_are_refused(client: Any) -> None:
    with refused("Multiple embedding functions provided"):
        client.create_collection(
            "things",
            embedding_function=HashEmbedding(),
            configuration={"embedding_function": OtherEmbedding()},
        )


def test_the_function_may_come_in_the_configuration(client: Any) -> None:
    collection = client.create_collection("things", configuration={"embedding_function": HashEmbedding(3)})
    assert persisted(collection)["name"] == "tests_hash"
    collection.add(ids=["a"], documents=["hello"])
    assert stored(collection) == [vector_of("hello", 3)]


def test_modify_replaces_the_config_of_the_same_function(client: Any) -> None:
    collection = client.create_collection("things", embedding_function=HashEmbedding(3))
    collection.modify(configuration={"embedding_function": HashEmbedding(2)})
    assert persisted(client.get_collection("things"))["config"] == {"dim": 2}


def test_modify_to_another_function_is_refused_and_stores_nothing(client: Any) -> None:
    """Edge 26."""
    collection = client.create_collection("things", embedding_function=HashEmbedding())
    with refused("tests_other"):
        collection.modify(configuration={"embedding_function": OtherEmbedding()})
    assert persisted(client.get_collection("things"))["name"] == "tests_hash"


def test_results_are_normalised_to_numpy_vectors() -> None:
    class Lists(chroma.EmbeddingFunction[Any]):
        def __init__(self) -> None:
            pass

        def __call__(self, input: Any) -> Any:
            return [[1.0, 2.0] for _ in input]

    [vector] = Lists()(["x"])
    assert isinstance(vector, np.ndarray)
    assert vector.tolist() == [1, 2]


def test_a_function_that_returns_too_few_vectors_is_refused(client: Any) -> None:
    class Short(HashEmbedding):
        def __call__(self, input: Any) -> Any:
            return [np.array([1, 2], dtype=np.float32)]

    collection = client.create_collection("things", embedding_function=Short())
    with refused():
        collection.add(ids=["a", "b"], documents=["x", "y"])
    assert collection.count() == 0


def test_functions_can_be_registered_by_decorator() -> None:
    from chroma.utils.embedding_functions import known_embedding_functions, register_embedding_function

    @register_embedding_function
    class Registered(HashEmbedding):
        @staticmethod
        def name() -> str:
            return "tests_registered"

    assert known_embedding_functions["tests_registered"] is Registered


def test_an_unknown_function_can_still_be_read_with_vectors(client: Any, reopen: Any) -> None:
    """The class is gone from the registry: records stay readable, texts say what is missing."""
    from chroma.utils.embedding_functions import known_embedding_functions

    class Vanishing(HashEmbedding):
        @staticmethod
        def name() -> str:
            return "tests_vanishing"

    client.create_collection("things", embedding_function=Vanishing()).add(ids=["a"], documents=["x"])
    known_embedding_functions.pop("tests_vanishing", None)
    collection = reopen(client).get_collection("things")
    assert collection.get()["documents"] == ["x"]
    assert collection.query(query_embeddings=[vector_of("x")])["ids"] == [["a"]]
    with refused("tests_vanishing"):
        collection.query(query_texts=["x"])


class Tensor:
    """As torch has it, on another device."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)
        self.shape = self._values.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("on another device")

    def __iter__(self) -> Any:
        return map(Tensor, self._values)

    def tolist(self) -> Any:
        return self._values.tolist()


FORMS: dict[str, Any] = {
    "lists": lambda rows: rows,
    "tuples": lambda rows: tuple(map(tuple, rows)),
    "ints": lambda rows: [[int(number) for number in row] for row in rows],
    "numpy scalars": lambda rows: [[np.float32(number) for number in row] for row in rows],
    "arrays": lambda rows: [np.array(row, np.float16) for row in rows],
    "a matrix": np.array,
    "an array of objects": lambda rows: np.array(rows, dtype=object).tolist(),
    "nested lists": lambda rows: [[row] for row in rows],
    "nested arrays": lambda rows: [np.array([row]) for row in rows],
    "a nested matrix": lambda rows: np.array(rows)[:, None],
    "a generator": lambda rows: (row for row in rows),
    "a generator of generators": lambda rows: (iter(row) for row in rows),
    "a map": lambda rows: map(np.array, rows),
    "values of a dict": lambda rows: dict(enumerate(rows)).values(),
    "a deque": lambda rows: collections.deque(rows),
    "tensors of another device": lambda rows: [Tensor(row) for row in rows],
}
FLAT: dict[str, Any] = {
    "list": lambda row: row,
    "tuple": tuple,
    "array": np.array,
    "numpy scalars": lambda row: [np.float32(number) for number in row],
    "generator": lambda row: (number for number in row),
}


@pytest.mark.parametrize("derived", [False, True])
def test_results_of_any_form(derived: bool) -> None:
    def function(form: Any, flat: bool) -> Any:
        class Function(chroma.EmbeddingFunction[Any] if derived else object):  # type: ignore[misc]
            def __call__(self, input: Any) -> Any:
                rows = [[float(len(text)), 2.0] for text in input]
                return form(rows[0] if flat else rows)

        return Function()

    with chroma.EphemeralClient(private=True) as client:
        for number, (name, form) in enumerate(FORMS.items()):
            if derived and name.startswith("tensors"):
                continue  # numpy reads the result of a class of ours
            things = client.create_collection(f"things{number}", embedding_function=function(form, False))
            things.add(ids=["a", "b"], documents=["x", "xy"])
            assert stored(things) == [[1.0, 2.0], [2.0, 2.0]], name
            assert things.query(query_texts=["xy"], n_results=1)["ids"] == [["b"]], name
        for number, (name, form) in enumerate(FLAT.items()):
            things = client.create_collection(f"flat{number}", embedding_function=function(form, True))
            things.add(ids=["a"], documents=["xyz"])
            assert stored(things) == [[3.0, 2.0]], name
            with refused("2"):
                things.add(ids=["b", "c"], documents=["x", "y"])
