"""Bad input: every row of the record table gives its error, and nothing is half applied."""

from __future__ import annotations

import datetime as dt
import enum
import re
from typing import Any

import numpy as np
import pytest

from chroma.errors import ChromaError, InvalidArgumentError
from chroma.validation import metadata
from chroma.validation.metadata import check_metadatas

from ..support.checks import refused


def plainly(value: object) -> str:
    """The repr without an address, so that a test is called the same in every process."""
    return re.sub(" at 0x[0-9a-f]+", "", repr(value))


VERBS = ["add", "upsert", "update"]


@pytest.fixture(params=VERBS)
def write(collection: Any, request: pytest.FixtureRequest) -> Any:
    """One write method; the collection must be empty afterwards."""
    yield getattr(collection, request.param)
    assert collection.count() == 0


def test_ids_must_be_given(write: Any) -> None:
    with refused("Expected IDs to be a list"):
        write(ids=None, embeddings=[[1, 2]])


def test_ids_must_not_be_empty(write: Any) -> None:
    with refused("Non-empty lists are required for ['ids']"):
        write(ids=[], embeddings=[[1, 2]])


@pytest.mark.parametrize("id", [None, 1.5, 2.0, True, b"bytes", ["nested"]], ids=plainly)
def test_an_id_must_be_a_str(write: Any, id: Any) -> None:
    with refused("Expected ID to be a str"):
        write(ids=["a", id], embeddings=[[1, 2], [3, 4]])


def test_an_id_must_not_be_empty(write: Any) -> None:
    with refused("Empty ID"):
        write(ids=["a", ""], embeddings=[[1, 2], [3, 4]])


@pytest.mark.parametrize("bad", ["\ud800", "a\udfffb"], ids=ascii)
def test_lone_surrogates_are_refused(write: Any, bad: str) -> None:
    with refused("ids"):
        write(ids=[bad], embeddings=[[1, 2]])
    with refused("document"):
        write(ids=["a"], embeddings=[[1, 2]], documents=[bad])
    with refused("key"):
        write(ids=["a"], embeddings=[[1, 2]], metadatas=[{"key": bad}])
    with refused("etadata"):
        write(ids=["a"], embeddings=[[1, 2]], metadatas=[{bad: 1}])


@pytest.mark.parametrize("column", ["embeddings", "documents", "metadatas", "uris"])
def test_columns_must_have_the_length_of_ids(write: Any, column: str) -> None:
    columns: dict[str, Any] = {
        "embeddings": [[1, 2], [3, 4]],
        "documents": ["x", "y"],
        "metadatas": [{"n": 1}, {"n": 2}],
        "uris": ["u", "v"],
    }
    columns[column] = columns[column][:1]
    with refused("Unequal lengths for fields", "ids: 2", f"{column}: 1"):
        write(ids=["a", "b"], **columns)


@pytest.mark.parametrize("verb", ["add", "upsert"])
def test_something_to_embed_must_be_given(collection: Any, verb: str) -> None:
    with refused("must be provided"):
        getattr(collection, verb)(ids=["a"])
    with refused("must be provided"):
        getattr(collection, verb)(ids=["a"], metadatas=[{"n": 1}])


def test_documents_and_uris_without_embeddings_are_ambiguous(collection: Any) -> None:
    with refused("must be provided"):
        collection.add(ids=["a"], documents=["x"], images=[np.zeros((2, 2))])


def test_uris_without_loader_and_embeddings_are_refused(collection: Any) -> None:
    with refused("You must set a data loader"):
        collection.add(ids=["a"], uris=["u://1"])


def test_embeddings_must_not_be_empty(write: Any) -> None:
    with refused("mbeddings"):
        write(ids=["a"], embeddings=[])


def test_a_vector_must_not_be_empty(write: Any) -> None:
    """Edge 24."""
    with refused("mbedding"):
        write(ids=["a"], embeddings=[[]])


@pytest.mark.parametrize(
    "embeddings",
    [
        [[True, False]],
        np.array([[True, False]]),
        [["x", "y"]],
        np.array([["x", "y"]]),
        "text",
        [[[1.0, 2.0]]],
        np.zeros((1, 2, 2)),
        [[None, 1.0]],
        [None],
        [[1 + 2j, 0]],
        [{"x": 1}],
        5,
        [object()],
    ],
    ids=plainly,
)
def test_embeddings_must_be_numbers(collection: Any, embeddings: Any) -> None:
    with refused("mbedding"):
        collection.add(ids=["a"], embeddings=embeddings)
    assert collection.count() == 0


def test_embeddings_must_agree_in_dimension(write: Any) -> None:
    with refused("Inconsistent dimensions in provided embeddings"):
        write(ids=["a", "b"], embeddings=[[1, 2], [1, 2, 3]])


@pytest.mark.parametrize("verb", VERBS)
def test_embeddings_must_have_the_collections_dimension(collection: Any, verb: str) -> None:
    collection.add(ids=["a"], embeddings=[[1, 2]])
    with refused("Collection expecting embedding with dimension of 2, got 3"):
        getattr(collection, verb)(ids=["a"], embeddings=[[1, 2, 3]])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), 1e39, -1e300])
@pytest.mark.parametrize("as_array", [False, True])
def test_embeddings_must_be_finite_in_float32(write: Any, bad: float, as_array: bool) -> None:
    rows: Any = [[1.0, 2.0], [bad, 2.0]]
    with refused("mbedding", "b"):
        write(ids=["a", "b"], embeddings=np.array(rows) if as_array else rows)


@pytest.mark.parametrize("document", [5, True, b"bytes", ["nested"], {"x": 1}], ids=plainly)
def test_a_document_must_be_a_str(write: Any, document: Any) -> None:
    with refused("Expected document to be a str"):
        write(ids=["a"], embeddings=[[1, 2]], documents=[document])


def test_a_none_document_needs_an_embedding(collection: Any) -> None:
    with refused("document"):
        collection.add(ids=["a", "b"], documents=["x", None])
    assert collection.count() == 0


def test_documents_must_not_be_empty(collection: Any) -> None:
    with refused("ocuments"):
        collection.add(ids=["a"], documents=[])


@pytest.mark.parametrize("uri", [5, True, b"bytes"], ids=plainly)
def test_a_uri_must_be_a_str(write: Any, uri: Any) -> None:
    with refused("uri", error=TypeError):
        write(ids=["a"], embeddings=[[1, 2]], uris=[uri])


def test_an_image_must_be_an_array(collection: Any) -> None:
    with refused("Expected image to be a numpy array"):
        collection.add(ids=["a"], images=["not an image"])


@pytest.mark.parametrize("metadata", ["text", 5, ["x"], [("n", 1)]], ids=plainly)
def test_metadata_must_be_a_mapping(write: Any, metadata: Any) -> None:
    """Edge 24."""
    with refused("etadata"):
        write(ids=["a"], embeddings=[[1, 2]], metadatas=[metadata])


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"indices": [1]}, "flatten it into several keys"),
        ([], "a list must be non-empty"),
        (["a", 1], "all items of a list must be of the same type"),
        ([["a"]], "a list may hold str, int, float, or bool, but this one holds ['a']"),
    ],
    ids=plainly,
)
def test_a_refused_metadata_value_is_explained(write: Any, value: Any, why: str) -> None:
    allowed = "Expected metadata value to be a str, int, float, bool, SparseVector, list, or None"
    with refused(allowed, f"for key 'k' in metadatas[0]: {why}"):
        write(ids=["a"], embeddings=[[1, 2]], metadatas=[{"k": value}])


def test_metadata_must_not_be_empty(write: Any) -> None:
    with refused("Expected metadata to be a non-empty dict"):
        write(ids=["a"], embeddings=[[1, 2]], metadatas=[{}])


@pytest.mark.parametrize(
    "value",
    [
        {"nested": 1},
        {1, 2},
        b"bytes",
        dt.datetime(2024, 1, 1),
        dt.date(2024, 1, 1),
        object(),
        1 + 2j,
        [],
        [1, "x"],
        [1, 1.5],
        [1, True],
        [[1]],
        [None],
        [1, None],
        [{"x": 1}],
        float("nan"),
        float("inf"),
        [1.0, float("nan")],
        2**63,
        -(2**63) - 1,
        [2**63],
        10**400,
    ],
    ids=lambda value: plainly(value)[:30],
)
def test_a_metadata_value_that_cannot_be_kept_is_refused_with_its_key(write: Any, value: Any) -> None:
    """Edges 12 and 34."""
    with refused("the_key"):
        write(ids=["a"], embeddings=[[1, 2]], metadatas=[{"the_key": value}])


@pytest.mark.parametrize("key", [5, None, ("a",), b"key"], ids=plainly)
def test_a_metadata_key_must_be_a_str(write: Any, key: Any) -> None:
    with refused("key", error=TypeError):
        write(ids=["a"], embeddings=[[1, 2]], metadatas=[{key: 1}])


@pytest.mark.parametrize("key", ["chroma:document", "chroma:uri", "chroma:anything"])
def test_reserved_keys_are_refused(write: Any, key: str) -> None:
    """Edge 15."""
    with refused("reserved key" if key == "chroma:document" else "reserved", key):
        write(ids=["a"], embeddings=[[1, 2]], metadatas=[{key: "x"}])


@pytest.mark.parametrize("key", ["", "#key", "$key"])
def test_malformed_keys_are_refused(write: Any, key: str) -> None:
    with refused("Invalid metadata at index 1", key):
        write(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"fine": 1}, {key: 1}])


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("add", {"ids": [5.5], "embeddings": [[1, 2]]}),
        ("upsert", {"ids": [5.5], "embeddings": [[1, 2]]}),
        ("update", {"ids": [5.5], "embeddings": [[1, 2]]}),
        ("get", {"ids": [5.5]}),
        ("delete", {"ids": [5.5]}),
        ("query", {"query_embeddings": "x"}),
    ],
)
def test_messages_begin_with_the_method(collection: Any, verb: str, arguments: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^{verb}: "):
        getattr(collection, verb)(**arguments)


def test_a_message_shortens_a_long_value(collection: Any) -> None:
    with refused("the_key"):
        collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"the_key": {"x" * 100_000: 1}}])
    with refused("document"):
        collection.add(ids=["a"], embeddings=[[1, 2]], documents=[[1] * 100_000])
    with refused("operator"):
        collection.get(where={"v": {"$" + "x" * 100_000: 1}})


@pytest.mark.parametrize("call", ["get", "delete"])
def test_reading_calls_check_their_ids_too(collection: Any, call: str) -> None:
    for bad in ([5.5], [None], 5.5):
        with pytest.raises(InvalidArgumentError):
            getattr(collection, call)(ids=bad)


@pytest.mark.parametrize(
    ("indices", "values"),
    [([1], [1.0, 2.0]), ([-1], [1.0]), ([2, 1], [1.0, 2.0]), ([1, 1], [1.0, 2.0]), ([1.5], [1.0])],
)
def test_sparse_vectors_are_checked(indices: Any, values: Any) -> None:
    import chroma

    with pytest.raises(ValueError, match="SparseVector|indices"):
        chroma.SparseVector(indices=indices, values=values)


class Text(str):
    pass


class Whole(enum.IntEnum):
    ONE = 1


KEYS = ["k", "ü", "", "#k", "$k", "chroma:k", "a" * 300, "k\ud800", Text("k"), 1, None, True]
VALUES = [
    *("x", "ü", "", "x\ud800", Text("x"), True, 0, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, Whole.ONE),
    *(1.5, float("nan"), float("inf"), np.float32(1), np.int64(1), np.bool_(True), None),
    *([], ["a"], [1, "a"], [None], {}, {"a": 1}, b"x", (1, 2), {1}),
]


def outcome(entries: list[Any]) -> Any:
    try:
        found = check_metadatas(entries)
    except ChromaError as error:
        return type(error), str(error)
    return [entry and [(key, type(value), value) for key, value in entry.items()] for entry in found]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_few_records_are_checked_as_many_are(key: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[list[Any]] = [[{key: value}] for value in VALUES]
    cases += [[{"n": 1, key: value}, None, {"m": "x"}] for value in VALUES]
    cases += [[{}], [None], [{"n": 1}, {}], [None, {key: 1}]]
    few = [outcome(case) for case in cases]
    monkeypatch.setattr(metadata, "_FEW", 0)
    assert few == [outcome(case) for case in cases]
