"""The route search: bodies of other clients, and the status of every body that cannot be used."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pyarrow as pa
import pytest

from chroma.wire import content_negotiation, search_codec
from chroma.wire.arrow_stream_decoder import BrokenStream

from .conftest import Api, refused

LEAF = {"$knn": {"query": [1, 2]}}
KEYED = {"keys": ["n"], "aggregate": {"$min_k": {"keys": ["#score"], "k": 1}}}


def _deep(levels: int) -> Any:
    rank: Any = LEAF
    for _ in range(levels):
        rank = {"$abs": rank}
    return rank


@pytest.mark.parametrize(
    "search",
    [
        {}, {"filter": None}, {"filter": {}}, {"rank": None}, {"limit": None}, {"group_by": {}},
        {"group_by": None}, {"select": None}, {"select": {}}, {"limit": {}}, {"limit": {"limit": None}},
        {"limit": {"offset": None}}, {"unknown": 1}, {"select": {"keys": None}},
        {"select": {"keys": ["#unknown"]}}, {"rank": {"$knn": {"query": [1, 2], "limit": None, "key": None}}},
        {"rank": {"$knn": {"query": [1, 2], "default": None, "return_rank": None, "other": 1}}},
        {"rank": {"$sum": [LEAF]}}, {"rank": {"$mul": [{"$val": 1e300}, LEAF]}}, {"rank": {"$val": 1}},
        {"limit": {"limit": 0}},
    ],
)  # fmt: skip
def test_bodies_that_are_answered(api: Api, things: str, search: dict[str, Any]) -> None:
    answer = api.post(f"{things}/search", {"searches": [search]})
    assert answer.status_code == 200, answer.text
    columns = {"ids", "documents", "embeddings", "metadatas", "scores", "select"}
    assert answer.json().keys() == columns and all(len(column) == 1 for column in answer.json().values())


@pytest.mark.parametrize(
    ("search", "status"),
    [
        (1, 422), ("x", 422), (None, 422),
        ({"filter": 1}, 422), ({"filter": {"a": 1, "b": 2}}, 400), ({"filter": {"a": {"$foo": "x"}}}, 400),
        ({"filter": {"#document": {"$regex": "(?=x)"}}}, 400), ({"filter": {"#score": 1}}, 400),
        ({"rank": {}}, 400), ({"rank": []}, 400), ({"rank": 1}, 400), ({"rank": {"$abs": [LEAF]}}, 400),
        ({"rank": {"$val": 1, "$abs": LEAF}}, 400), ({"rank": {"$other": 1}}, 400),
        ({"rank": {"$val": "1"}}, 400), ({"rank": {"$val": True}}, 400), ({"rank": {"$knn": {}}}, 400),
        ({"rank": {"$knn": {"query": "text"}}}, 400), ({"rank": {"$knn": {"query": []}}}, 400),
        ({"rank": {"$knn": {"query": [[1, 2]]}}}, 400), ({"rank": {"$knn": {"query": [1, 2, 3]}}}, 400),
        ({"rank": {"$knn": {"query": [1e39, 1]}}}, 400),
        ({"rank": {"$knn": {"query": [1, 2], "limit": -1}}}, 400),
        ({"rank": {"$knn": {"query": [1, 2], "limit": 1.5}}}, 400),
        ({"rank": {"$knn": {"query": [1, 2], "limit": 2**32}}}, 400),
        ({"rank": {"$knn": {"query": [1, 2], "key": 1}}}, 400),
        ({"rank": {"$knn": {"query": [1, 2], "key": "n"}}}, 400),
        ({"rank": {"$knn": {"query": [1, 2], "return_rank": 1}}}, 400),
        ({"rank": {"$knn": {"query": {"indices": [1], "values": [1]}, "key": "n"}}}, 400),
        ({"rank": {"$sum": LEAF}}, 400), ({"rank": {"$sum": []}}, 400), ({"rank": {"$sub": LEAF}}, 400),
        ({"rank": {"$sub": {"left": LEAF}}}, 400), ({"rank": _deep(200)}, 400),
        ({"rank": LEAF, "group_by": {"keys": ["n"]}}, 400), ({"rank": LEAF, "group_by": 1}, 422),
        ({"rank": LEAF, "group_by": KEYED | {"keys": []}}, 400), ({"group_by": KEYED}, 400),
        ({"rank": LEAF, "group_by": KEYED | {"keys": ["#id"]}}, 400),
        ({"rank": LEAF, "group_by": KEYED | {"aggregate": {"$min_k": {"keys": ["n"], "k": 0}}}}, 400),
        ({"rank": LEAF, "group_by": KEYED | {"aggregate": {"$sum": {"keys": ["n"], "k": 1}}}}, 400),
        ({"limit": 3}, 422), ({"limit": {"limit": -1}}, 400), ({"limit": {"limit": 2**32}}, 400),
        ({"limit": {"offset": "1"}}, 400), ({"select": []}, 422), ({"select": {"keys": [1]}}, 400),
    ],
)  # fmt: skip
def test_bodies_that_are_refused(api: Api, things: str, search: Any, status: int) -> None:
    answer = api.post(f"{things}/search", {"searches": [{}, search]})
    refused(answer, status, "ChromaError" if status == 422 else "InvalidArgumentError")


def test_the_list_of_searches(api: Api, things: str) -> None:
    for body in ({}, {"searches": None}, {"searches": {}}, {"searches": [], "read_level": "none"}):
        refused(api.post(f"{things}/search", body), 422, "ChromaError")
    assert api.post(f"{things}/search", {"searches": []}).json()["ids"] == []
    missing = things.rpartition("/")[0] + "/00000000-0000-4000-8000-000000000000"
    refused(api.post(f"{missing}/search", {"searches": [{}]}), 404, "NotFoundError")
    assert api.get(f"{things}/search").status_code == 405


def test_scores_that_are_not_finite_are_null(api: Api, things: str) -> None:
    rank = {"$log": {"$mul": [{"$val": 0}, LEAF]}}
    found = api.post(
        f"{things}/search", {"searches": [{"rank": rank, "select": {"keys": ["#score"]}}]}
    ).json()
    assert found["scores"][0] and set(found["scores"][0]) == {None}


def test_answers_as_arrow(api: Api, things: str) -> None:
    every = {"keys": ["#document", "#embedding", "#metadata", "#score"]}
    nan = {"$log": {"$mul": [{"$val": 0}, LEAF]}}
    searches = [
        {"rank": LEAF, "select": every}, {"limit": {"limit": 2}}, {"filter": {"n": 9}, "select": every},
        {"rank": nan, "select": {"keys": ["#score", "n"]}}, {"select": {"keys": ["t", "#score"]}},
    ]  # fmt: skip
    path, accept = f"{things}/search", {"Accept": "application/vnd.apache.arrow.stream"}
    requests = [search_codec.search_from_json(search) for search in searches]
    answer = api.post(path, {"searches": searches}, headers=accept)
    assert answer.status_code == 200 and answer.headers["content-type"] == accept["Accept"]
    found = content_negotiation.read_answers(answer.content, requests)
    plain = api.post(path, {"searches": searches}).json()
    read = search_codec.answers_to_json(requests, found)
    assert json.loads(orjson.dumps(read)) == plain
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.schema.names == ["search", "id", "document", "metadata", "embedding", "score"]
    for broken in (
        table.drop_columns(["score"]),
        table.set_column(0, "search", pa.array([9] * len(table), pa.int32())),
        pa.concat_tables([table, table]),
    ):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, broken.schema) as writer:
            writer.write_table(broken)
        with pytest.raises(BrokenStream):
            content_negotiation.read_answers(sink.getvalue().to_pybytes(), requests)
    told = api.post(path, {"searches": searches, "explain": True}, headers=accept)
    assert told.headers["content-type"] == "application/json" and len(told.json()["explain"]) == 5
    refused(api.post(path, {"searches": searches, "explain": 1}), 422, "ChromaError")


def test_answers_are_bounded(serve: Any) -> None:
    api = serve(max_answer_bytes=100_000)
    made = api.post(
        "/api/v2/tenants/default_tenant/databases/default_database/collections", {"name": "things"}
    ).json()
    path = f"/api/v2/tenants/default_tenant/databases/default_database/collections/{made['id']}"
    ids = [str(number) for number in range(1200)]
    body = {"ids": ids, "embeddings": [[1, 2]] * 1200, "documents": ["x" * 100] * 1200}
    assert api.post(f"{path}/add", body).status_code == 201
    everything = {"searches": [{"select": {"keys": ["#document"]}}]}
    answer = api.post(f"{path}/search", everything)
    assert answer.status_code == 413 and "max-answer-bytes" in answer.text
    assert api.post(f"{path}/search", {"searches": [{"limit": {"limit": 900}}]}).status_code == 200
