"""Records over the raw API: both encodings, what is refused, what is answered."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest

from chroma.storage.interface.values import Records
from chroma.wire import json_codec

from .conftest import Api, refused


def encoded(*vectors: list[float]) -> list[str]:
    return [base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode() for vector in vectors]


def test_both_encodings(api: Api, things: str) -> None:
    assert encoded([1.0, 2.0]) == ["AACAPwAAAEA="]
    vectors = np.random.default_rng(0).standard_normal((20, 2)).astype(np.float32)
    ids = [str(number) for number in range(20)]
    lists = {"ids": ids[:10], "embeddings": vectors[:10].tolist()}
    assert api.post(f"{things}/add", lists).json() == {"added": 10, "updated": 0, "skipped": 0}
    texts = {
        "ids": ids[10:], "embeddings": encoded(*vectors[10:].tolist()), "metadatas": None,
        "documents": None, "uris": None,
    }  # fmt: skip
    assert api.post(f"{things}/add", texts).status_code == 201
    body = {"ids": ids, "include": ["embeddings"]}
    stored = api.post(f"{things}/get", body).json()["embeddings"]
    assert np.array_equal(np.asarray(stored, np.float32), vectors)
    ours = api.post(f"{things}/get", body | {"encoding": "base64"}).json()
    assert np.array_equal(json_codec.rows_from_json(ours).embeddings, vectors)


def test_numbers_are_the_shortest(api: Api, things: str) -> None:
    text = api.post(f"{things}/get", {"include": ["embeddings", "metadatas"]}).text
    assert "[[1.0,0.0],[0.0,1.0],[0.1,2.5]]" in text
    assert '{"n":1,"f":1.0}' in text
    big = {"ids": ["a"], "metadatas": [{"big": 2**63 - 1, "small": -(2**63), "tenth": 0.1}]}
    api.post(f"{things}/update", big)
    text = api.post(f"{things}/get", {"ids": ["a"]}).text
    assert '"big":9223372036854775807' in text and '"small":-9223372036854775808' in text
    assert '"tenth":0.1' in text
    asked = {"query_embeddings": [[0.1, 2.5]], "n_results": 1, "include": ["distances"]}
    assert '"distances":[[0.0]]' in api.post(f"{things}/query", asked).text


def test_get(api: Api, things: str) -> None:
    def get(**body: Any) -> Any:
        return api.post(f"{things}/get", body).json()

    assert get() == {
        "ids": ["a", "b", "c"],
        "embeddings": None,
        "documents": ["red", None, "blue"],
        "uris": None,
        "metadatas": [{"n": 1, "f": 1.0}, {"n": 2, "t": ["x", "y"]}, None],
        "include": ["documents", "metadatas"],
    }
    assert get(ids=["c", "a", "a", "no"], include=[])["ids"] == ["a", "c"]
    assert get(ids=[])["ids"] == []
    assert get(where={"n": {"$gt": 1}}, where_document=None, limit=None, offset=None)["ids"] == ["b"]
    assert get(where={})["ids"] == ["a", "b", "c"]
    assert get(where_document={"$contains": "l"})["ids"] == ["c"]
    assert get(limit=1, offset=1, include=["distances"])["ids"] == ["b"]
    assert get(order_by=["-n"], where={"n": {"$gt": 0}})["ids"] == ["b", "a"]
    assert get(include=["embeddings"], ids=["no"])["embeddings"] == []


def test_query(api: Api, things: str) -> None:
    def query(**body: Any) -> Any:
        return api.post(f"{things}/query", body).json()

    found = query(query_embeddings=[[1, 0], [0, 1]], n_results=2)
    assert found["ids"] == [["a", "b"], ["b", "a"]]
    assert found["distances"] == [[0.0, 2.0], [0.0, 2.0]]
    assert found["documents"] == [["red", None], [None, "red"]]
    assert found["embeddings"] is None and found["uris"] is None
    assert found["include"] == ["documents", "metadatas", "distances"]
    assert query(query_embeddings=[[1, 0]], ids=["c", "no"])["ids"] == [["c"]]
    assert query(query_embeddings=[[1, 0]], ids=[])["ids"] == [[]]
    assert query(query_embeddings=[[1, 0]], n_results=0) | {"include": None} == {
        "ids": [[]], "embeddings": None, "documents": [[]], "uris": None, "metadatas": [[]],
        "distances": [[]], "include": None,
    }  # fmt: skip
    assert query(query_embeddings=[], include=["embeddings"])["embeddings"] == []
    assert query(query_embeddings=[[1, 0]], exact=True, n_results=1)["ids"] == [["a"]]
    assert query(query_embeddings=[[1, 0], [9, 9]], max_distance=2)["ids"] == [["a", "b"], []]
    assert query(query_embeddings=[[1, 0]], diversity=1, n_results=2)["ids"] == [["a", "c"]]
    assert query(query_embeddings=[[1, 0]], explain=None, diversity=None, max_distance=None).keys() == {
        "ids", "embeddings", "documents", "uris", "metadatas", "distances", "include",
    }  # fmt: skip
    told = query(query_embeddings=[[1, 0]], explain=True)["explain"]
    assert told["parts"][0]["runs"][0]["plan"] == {"name": "ScanAll"} and told["seconds"]["read"] > 0


def test_count(api: Api, things: str) -> None:
    for level in ("index_and_wal", "index_only", "index_and_bounded_wal"):
        assert api.get(f"{things}/count?read_level={level}").content == b"3"
    refused(api.get(f"{things}/count?read_level=x"), 400, "InvalidArgumentError")


def test_update_with_gaps(api: Api, things: str) -> None:
    for gaps in ([*encoded([5, 5]), None], [[5.0, 5.0], None]):
        body = {
            "ids": ["a", "b"],
            "embeddings": gaps,
            "documents": [None, "green"],
            "metadatas": [{}, {"n": None}],
        }
        assert api.post(f"{things}/update", body).json() == {"added": 0, "updated": 2, "skipped": 0}
        got = api.post(f"{things}/get", {"include": ["embeddings", "documents", "metadatas"]}).json()
        assert got["embeddings"][:2] == [[5.0, 5.0], [0.0, 1.0]]
        assert got["documents"] == ["red", "green", "blue"]
        assert got["metadatas"][:2] == [{"n": 1, "f": 1.0}, {"t": ["x", "y"]}]
    assert api.post(f"{things}/update", {"ids": ["a", "zz"]}).json()["skipped"] == 1
    assert api.post(f"{things}/update", {"ids": ["a"], "embeddings": [None]}).status_code == 200


def test_upsert(api: Api, things: str) -> None:
    body = {"ids": ["a", "new"], "embeddings": encoded([3, 3], [4, 4]), "metadatas": [{"n": None}, None]}
    answer = api.post(f"{things}/upsert", body)
    assert (answer.status_code, answer.json()) == (200, {"added": 1, "updated": 1, "skipped": 0})
    assert api.post(f"{things}/upsert", {"ids": ["a"], "metadatas": [{"m": 1}]}).status_code == 200
    refused(
        api.post(f"{things}/upsert", {"ids": ["x"], "metadatas": [{"m": 1}]}), 400, "InvalidArgumentError"
    )


def test_delete(api: Api, things: str) -> None:
    def delete(**body: Any) -> Any:
        return api.post(f"{things}/delete", body)

    assert delete().json() == {"deleted": 0}
    refused(delete(ids=[]), 400, "InvalidArgumentError")
    refused(delete(where={}), 400, "InvalidArgumentError")
    refused(delete(ids=["a"], limit=1), 400, "InvalidArgumentError")
    refused(delete(where={"n": 1}, limit=-1), 422, "ChromaError")
    assert delete(ids=["a", "a", "no"]).json() == {"deleted": 1}
    assert delete(where={"n": {"$gt": 0}}, limit=1).json() == {"deleted": 1}
    assert api.get(f"{things}/count").content == b"1"


@pytest.mark.parametrize(
    ("change", "status", "name"),
    [
        ({"ids": None}, 422, "ChromaError"),
        ({"ids": "xy"}, 422, "ChromaError"),
        ({"ids": [1.5, 2]}, 422, "ChromaError"),
        ({"ids": ["x", ""]}, 400, "InvalidArgumentError"),
        ({"ids": ["x", "x"]}, 400, "DuplicateID"),
        ({"ids": ["x"]}, 400, "InvalidArgumentError"),
        ({"ids": []}, 400, "InvalidArgumentError"),
        ({"embeddings": None}, 422, "ChromaError"),
        ({"embeddings": "AACAPwAAAEA="}, 422, "ChromaError"),
        ({"embeddings": [1.0, 2.0]}, 422, "ChromaError"),
        ({"embeddings": [[1.0, 2.0], None]}, 422, "ChromaError"),
        ({"embeddings": [[1.0, 2.0], "AACAPwAAAEA="]}, 422, "ChromaError"),
        ({"embeddings": [[1.0, 2.0], [1.0, "2"]]}, 422, "ChromaError"),
        ({"embeddings": [[1.0, 2.0], [1.0, True]]}, 422, "ChromaError"),
        ({"embeddings": [[1.0, 2.0], [1.0, None]]}, 422, "ChromaError"),
        ({"embeddings": [[[1.0, 2.0]], [[1.0, 2.0]]]}, 422, "ChromaError"),
        ({"embeddings": [[1.0, 2.0], [1.0, 1e39]]}, 400, "InvalidArgumentError"),
        ({"embeddings": [[1.0, 2.0], [1.0]]}, 400, "InvalidArgumentError"),
        ({"embeddings": [[1.0], [1.0]]}, 400, "InvalidArgumentError"),
        ({"embeddings": [[], []]}, 400, "InvalidArgumentError"),
        ({"embeddings": ["AACAPwAAAEA=", "!!!!"]}, 400, "InvalidArgumentError"),
        ({"embeddings": ["AACAPwAAAEA=", "AACAPwAAAEA"]}, 400, "InvalidArgumentError"),
        ({"embeddings": ["AACAPwAAAEA=", "AACAPwAA"]}, 400, "InvalidArgumentError"),
        ({"embeddings": ["AACAPwAAAEA=", "ä" * 12]}, 400, "InvalidArgumentError"),
        ({"embeddings": ["AACAPwAAAEA=", ""]}, 400, "InvalidArgumentError"),
        ({"embeddings": encoded([1, 2], [1])}, 400, "InvalidArgumentError"),
        ({"embeddings": encoded([1, 2], [1, float("nan")])}, 400, "InvalidArgumentError"),
        ({"documents": "red"}, 422, "ChromaError"),
        ({"documents": ["red", 5]}, 422, "ChromaError"),
        ({"documents": ["red"]}, 400, "InvalidArgumentError"),
        ({"uris": [1, 2]}, 422, "ChromaError"),
        ({"metadatas": {"a": 1}}, 422, "ChromaError"),
        ({"metadatas": [{"a": 1}, 5]}, 422, "ChromaError"),
        ({"metadatas": [{"a": {"b": 1}}, None]}, 422, "ChromaError"),
        ({"metadatas": [{"a": [1, "x"]}, None]}, 400, "InvalidArgumentError"),
        ({"metadatas": [{"a": [[1]]}, None]}, 400, "InvalidArgumentError"),
        ({"metadatas": [{"#a": 1}, None]}, 400, "InvalidArgumentError"),
        ({"metadatas": [{"chroma:document": "x"}, None]}, 400, "InvalidArgumentError"),
        ({"metadatas": [{"a": 2**63}, None]}, 400, "InvalidArgumentError"),
        ({"metadatas": [{"a": 1}]}, 400, "InvalidArgumentError"),
        (
            {"metadatas": [{"a": {"#type": "sparse_vector", "indices": [2, 1], "values": [1, 1]}}, None]},
            400,
            "InvalidArgumentError",
        ),
    ],
)
def test_writes_that_are_refused(
    api: Api, things: str, change: dict[str, Any], status: int, name: str
) -> None:
    body = {"ids": ["x", "y"], "embeddings": [[1.0, 2.0], [3.0, 4.0]]}
    refused(api.post(f"{things}/add", body | change), status, name)
    assert api.get(f"{things}/count").content == b"3"


def test_writes_that_other_clients_send(api: Api, things: str) -> None:
    nothing = {"ids": [], "embeddings": [], "metadatas": None}
    assert api.post(f"{things}/add", nothing).status_code == 201
    body = {
        "ids": ["x", "y", "z"],
        "embeddings": [[1, 2], [3, 4], [5, 6]],
        "metadatas": [{}, {"none": None, "list": [1, 2.5]}, {"empty": []}],
    }
    assert api.post(f"{things}/add", body).status_code == 201
    got = api.post(f"{things}/get", {"ids": ["x", "y", "z"]}).json()
    assert got["metadatas"] == [None, {"list": [1.0, 2.5]}, None]


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("get", {"include": None}, 422),
        ("get", {"include": ["data"]}, 422),
        ("get", {"include": "documents"}, 422),
        ("get", {"limit": -1}, 422),
        ("get", {"limit": 1.0}, 422),
        ("get", {"limit": True}, 422),
        ("get", {"ids": "a"}, 422),
        ("get", {"ids": [1.5]}, 422),
        ("get", {"encoding": "hex"}, 422),
        ("get", {"order_by": 1}, 422),
        ("get", {"where": "x ="}, 400),
        ("get", {"where": {"a": 1, "b": 2}}, 400),
        ("get", {"where": {"a": {"$nope": 1}}}, 400),
        ("get", {"where": {"a": {"$in": []}}}, 400),
        ("get", {"where": {"a": {"$gt": True}}}, 400),
        ("get", {"where": {"a": None}}, 400),
        ("get", {"where_document": {"$matches": "x"}}, 400),
        ("query", {}, 422),
        ("query", {"query_embeddings": None}, 422),
        ("query", {"query_embeddings": [1.0, 0.0]}, 422),
        ("query", {"query_embeddings": ["AACAPwAAAEA"]}, 400),
        ("query", {"query_embeddings": ["AACAPwAAAEA=", [1.0, 0.0]]}, 422),
        ("query", {"query_embeddings": [[1.0, "x"]]}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "n_results": -1}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "n_results": 1.5}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "n_results": 2**40}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "exact": 1}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "explain": "yes"}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "max_distance": "1"}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "max_distance": True}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "max_distance": -1}, 400),
        ("query", {"query_texts": ["a"], "mode": "lexical", "exact": True}, 400),
        ("query", {"query_embeddings": [[1.0, 0.0]], "diversity": [1]}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "diversity": 2}, 400),
        ("query", {"query_embeddings": [[1.0, 0.0]], "diversity": 1, "candidates": 2}, 400),
        ("query", {"query_embeddings": [[1.0, 0.0]], "diversity": 1, "candidates": 20.5}, 422),
        ("query", {"query_embeddings": [[1.0, 0.0]], "candidates": 20}, 400),
        ("chroma-arrow/facets", {"keys": "n"}, 422),
        ("chroma-arrow/facets", {"keys": []}, 400),
        ("chroma-arrow/facets", {"keys": [1]}, 422),
        ("chroma-arrow/facets", {"keys": ["#id"]}, 400),
        ("chroma-arrow/facets", {"keys": ["n"], "limit": 0}, 400),
        ("chroma-arrow/facets", {"keys": ["n"], "limit": 1.5}, 422),
        ("chroma-arrow/facets", {"keys": ["n"], "where": {"n": {"$no": 1}}}, 400),
        ("query", {"query_embeddings": [[1.0, 0.0, 0.0]]}, 400),
        ("query", {"query_embeddings": [[1.0, 1e39]]}, 400),
        ("query", {"query_embeddings": [[]]}, 400),
    ],
)
def test_reads_that_are_refused(api: Api, things: str, verb: str, body: Any, status: int) -> None:
    name = "InvalidArgumentError" if status == 400 else "ChromaError"
    refused(api.post(f"{things}/{verb}", body), status, name)


def test_our_own_routes(api: Api, things: str) -> None:
    own = f"{things}/chroma-arrow"
    assert api.post(f"{own}/count", {"where": {"n": {"$gt": 1}}}).json() == 1
    assert api.post(f"{own}/count", {"where": {}, "where_document": {"$contains": "e"}}).json() == 2
    assert api.post(f"{own}/known_ids", {"ids": ["no", "c", "a"]}).json() == ["c", "a"]
    assert api.post(f"{own}/recall", {"k": 1}).json() == 1.0
    assert api.request("POST", f"{own}/compact").json() == {}
    assert api.request("POST", f"{things.partition('/collections')[0]}/chroma-arrow/compact").json() == {}
    stats = json_codec.stats_from_json(api.get(f"{own}/stats").json())
    assert (stats.live, stats.unsealed) == (3, 0)


def test_errors_keep_their_class_on_the_wire(api: Api, things: str) -> None:
    from chroma import errors

    for body, expected in (
        ({"ids": ["x", "x"], "embeddings": [[1, 1], [1, 1]]}, errors.DuplicateIDError),
        ({"ids": ["x", "y"], "embeddings": [[1, 1], [1]]}, errors.InvalidDimensionException),
        ({"ids": "x", "embeddings": [[1, 1], [1]]}, errors.InvalidTypeError),
    ):
        answer = api.post(f"{things}/add", body)
        error = json_codec.error_from_json(answer.status_code, answer.json(), "f" * 32)
        assert type(error) is expected
        assert error.message() == answer.json()["message"]
        assert error.trace_id == "f" * 32
    assert type(json_codec.error_from_json(409, {"error": "ChromaError", "message": "x"})) is (
        errors.UniqueConstraintError
    )
    assert type(json_codec.error_from_json(502, "<html>")) is errors.InternalError


def test_records_go_and_come() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    given = np.array([True, False, True])
    from chroma.server.parsing import json_bodies

    records = Records(["a", "b", "c"], vectors, ["x", None, "z"], [{"k": 1}, None, {"k": None}], None, given)
    for base in (True, False):
        body = json.loads(json.dumps(json_codec.records_to_json("update", records, base64=base)))
        back = json_bodies.records("update", body)
        assert back.embeddings is not None
        assert np.array_equal(back.embeddings[given], vectors[given])
        assert back.has_embedding is not None and back.has_embedding.tolist() == given.tolist()
        assert (back.ids, back.documents, back.metadatas) == (
            records.ids, records.documents, records.metadatas,
        )  # fmt: skip


def test_query_vectors_may_be_base64(api: Api, things: str) -> None:
    plain = api.post(f"{things}/query", {"query_embeddings": [[1.0, 2.0]], "n_results": 2})
    text = api.post(f"{things}/query", {"query_embeddings": ["AACAPwAAAEA="], "n_results": 2})
    assert text.status_code == 200 and text.json() == plain.json()


BIG = -(2**63) - 1


@pytest.mark.parametrize("value", [BIG, 2**64, 10**30, [1, BIG], [2**70]])
def test_integers_beyond_64_bits_are_refused_by_name(api: Api, things: str, value: Any) -> None:
    """orjson reads them as floats, which the server stored or compared."""

    def named(answer: httpx.Response, path: str) -> None:
        message = refused(answer, 400, "InvalidArgumentError")
        assert path in message and "64 bits" in message

    record = {"ids": ["a", "z"], "embeddings": [[1.0, 2.0]] * 2, "metadatas": [None, {"k": value}]}
    for verb in ("add", "upsert", "update"):
        named(api.post(f"{things}/{verb}", record), "metadatas[1]['k']")
    for verb in ("get", "delete"):
        body = {"where": {"$and": [{"n": 1}, {"k": {"$in": [value]}}]}}
        named(api.post(f"{things}/{verb}", body), "where['$and'][1]['k']")
    query = {"query_embeddings": [[1.0, 2.0]], "where": {"k": {"$gt": value}}}
    named(api.post(f"{things}/query", query), "where['k']")
    collections = things.rpartition("/")[0]
    new: dict[str, Any] = {"name": "new", "metadata": {"k": value}}
    named(api.post(collections, new), "metadata['k']")
    function = {"type": "known", "name": "f", "config": {"seed": value}}
    new = {"name": "new", "configuration": {"embedding_function": function}}
    named(api.post(collections, new), "['config']['seed']")
    body = {"new_metadata": {"k": value}}
    named(api.request("PUT", things, json=body), "new_metadata['k']")
    sql = {"sql": "select ?", "parameters": [5, value]}
    path = f"{collections.rpartition('/')[0]}/chroma-arrow/sql"
    named(api.post(path, sql), "parameters[1]")


def test_large_floats_are_floats(api: Api, things: str) -> None:
    values = {"a": 1e300, "b": -9.3e18, "c": [1.5, 2e19], "d": "1, 18446744073709551616, 2", "e": 2**53}
    update = {"ids": ["a"], "metadatas": [values], "documents": ["[18446744073709551616]"]}
    assert api.post(f"{things}/update", update).status_code == 200
    stored = api.post(f"{things}/get", {"ids": ["a"]}).json()["metadatas"][0]
    assert {key: stored[key] for key in values} == values
    asked = api.post(f"{things}/get", {"where": {"a": {"$gte": 1e300}}}).json()
    assert asked["ids"] == ["a"]


@pytest.mark.parametrize(
    ("name", "field"), [("id", "ids"), ("document", "documents"), ("metadata", "metadatas")]
)
def test_fields_named_like_columns_are_refused(api: Api, things: str, name: str, field: str) -> None:
    body: dict[str, Any] = {"ids": ["z"], "embeddings": [[1.0, 2.0]]}
    if name == "id":
        del body["ids"]
    for verb in ("add", "upsert", "update"):
        message = refused(api.post(f"{things}/{verb}", body | {name: ["x"]}), 422, "ChromaError")
        assert repr(name) in message and repr(field) in message


def test_query_by_ids(api: Api, things: str) -> None:
    path = f"{things}/query"
    body = {"query_ids": ["a", "c", "a"], "include": ["documents", "distances", "metadatas"], "n_results": 5}
    found = api.post(path, body).json()
    assert found["ids"] == [["b", "c"], ["b", "a"], ["b", "c"]]
    assert found["distances"][0] == pytest.approx([2, 0.81 + 6.25]) and found["documents"][1] == [None, "red"]
    plain = api.post(path, {"query_embeddings": [[1.0, 0.0]], "n_results": 1, "offset": 1}).json()
    assert plain["ids"] == [["b"]] and set(plain) == set(found)
    assert api.post(path, {"query_ids": ["a"], "offset": 1}).json()["ids"] == [["c"]]
    assert api.post(path, {"query_ids": ["a"], "offset": 7}).json()["ids"] == [[]]
    assert api.post(path, {"query_ids": ["a"], "n_results": 0}).json()["ids"] == [[]]
    assert api.post(path, {"query_ids": ["a"], "max_distance": 3}).json()["ids"] == [["b"]]
    assert api.post(path, {"query_ids": ["a", "b"], "diversity": 0.5}).json()["ids"] == [
        ["b", "c"],
        ["a", "c"],
    ]
    assert api.post(path, {"query_ids": ["a"], "ids": ["a", "c"]}).json()["ids"] == [["c"]]
    lexical = {"mode": "lexical", "query_texts": ["red blue"], "offset": 1, "n_results": 1}
    assert api.post(path, lexical).json()["ids"] == [["c"]]
    most = 2**31 - 1
    assert api.post(path, {"query_ids": ["a"], "n_results": most, "offset": most}).json()["ids"] == [[]]
    text = {"query_ids": ["a"], "include": ["metadatas"], "integers": "text"}
    assert api.post(path, text).json()["metadatas"] == [[{"n": 2, "t": ["x", "y"]}, None]]


def test_refused_queries_by_ids(api: Api, things: str) -> None:
    path = f"{things}/query"
    assert "'z'" in refused(api.post(path, {"query_ids": ["a", "z"]}), 404, "NotFoundError")
    both = {"query_ids": ["a"], "query_embeddings": [[1.0, 0.0]]}
    for body in (
        both,
        {"query_ids": ["a"], "query_texts": ["x"]},
        {"query_ids": ["a"], "mode": "lexical"},
        {"query_ids": []},
        {"query_ids": ["a"], "diversity": 0.5, "offset": 1},
        {"query_ids": ["a"], "max_distance": -1},
    ):
        refused(api.post(path, body), 400, "InvalidArgumentError")
    for body in (
        {"query_ids": "a"},
        {"query_ids": ["a"] * 1001},
        {"query_ids": ["a"], "offset": -1},
        {"query_ids": [[]]},
    ):
        assert api.post(path, body).status_code == 422, body
    arrow = {"accept": "application/vnd.apache.arrow.stream"}
    refused(api.post(path, {"query_ids": ["a"]}, headers=arrow), 400, "InvalidArgumentError")
    gone = things[:-12] + "0" * 12
    refused(api.post(f"{gone}/query", {"query_ids": ["a"]}), 404, "NotFoundError")
    refused(api.post(f"{gone}/query", {"query_ids": ["a"], "n_results": 0}), 404, "NotFoundError")
