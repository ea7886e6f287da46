"""Arrow IPC on the routes: writes that are streamed in, answers that are streamed out."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

from chroma.wire import arrow_codec

from .conftest import DATABASE, Api

MEDIA = {"Content-Type": "application/vnd.apache.arrow.stream"}
ACCEPT = {"Accept": "application/vnd.apache.arrow.stream"}


def stream(*batches: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def batch(*ids: str, **columns: Any) -> pa.RecordBatch:
    vectors = pa.array(
        [[float(len(id)), float(row)] for row, id in enumerate(ids)], pa.list_(pa.float32(), 2)
    )
    return pa.RecordBatch.from_pydict({"id": [*ids], "embedding": vectors, **columns})


def send(api: Api, path: str, *batches: pa.RecordBatch) -> httpx.Response:
    return api.request("POST", path, content=stream(*batches), headers=MEDIA)


def ask(api: Api, path: str, **body: Any) -> pa.Table:
    answer = api.post(path, body, headers=ACCEPT)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == MEDIA["Content-Type"]
    return pa.ipc.open_stream(answer.content).read_all()


@pytest.mark.parametrize(("verb", "status"), [("add", 201), ("upsert", 200), ("update", 200)])
def test_streams_are_written_and_counted(api: Api, things: str, verb: str, status: int) -> None:
    answer = send(
        api,
        f"{things}/{verb}",
        batch("a", "d", metadata=[{"n": 9}, {"n": 4}]),
        batch("e", metadata=pa.array([None], pa.struct([("n", pa.int64())]))),
    )
    assert answer.status_code == status
    expected = {
        "add": {"added": 2, "updated": 0, "skipped": 1, "rows": 3},
        "upsert": {"added": 2, "updated": 1, "skipped": 0, "rows": 3},
        "update": {"added": 0, "updated": 1, "skipped": 2, "rows": 3},
    }
    assert answer.json() == expected[verb]
    found = api.post(f"{things}/get", {"ids": ["a", "d", "e"], "include": ["metadatas"]}).json()
    values = {id: (entry or {}).get("n") for id, entry in zip(found["ids"], found["metadatas"])}
    assert values == {
        "add": {"a": 1, "d": 4, "e": None},
        "upsert": {"a": 9, "d": 4, "e": None},
        "update": {"a": 9},
    }[verb]  # fmt: skip


def test_a_refused_batch_says_what_is_durable(api: Api, things: str) -> None:
    wrong = batch("f", "f")
    answer = send(api, f"{things}/add", batch("d", "e"), wrong, batch("g"))
    assert answer.status_code == 400
    body = answer.json()
    assert body["error"] == "DuplicateID"
    assert body["durable_rows"] == 2
    assert api.get(f"{things}/count").json() == 5


def test_a_wrong_dimension_is_named(api: Api, things: str) -> None:
    wrong = pa.RecordBatch.from_pydict({"id": ["z"], "embedding": [[1.0, 2.0, 3.0]]})
    answer = send(api, f"{things}/add", wrong)
    assert answer.status_code == 400
    assert "dimension of 2, got 3" in answer.json()["message"]
    assert answer.json()["durable_rows"] == 0


def test_an_unknown_collection_is_a_404(api: Api, things: str) -> None:
    path = f"{DATABASE}/collections/00000000-0000-0000-0000-000000000000"
    assert send(api, f"{path}/add", batch("a")).status_code == 404
    assert api.post(f"{path}/get", {}, headers=ACCEPT).status_code == 404
    assert api.post(f"{path}/chroma-arrow/export").status_code == 404


def test_another_media_type_is_a_415(api: Api, things: str) -> None:
    answer = api.request(
        "POST", f"{things}/add", content=b"x", headers={"Content-Type": "application/vnd.apache.arrow.file"}
    )
    assert answer.status_code == 415
    answer = api.request("POST", f"{things}/get", content=stream(batch("a")), headers=MEDIA)
    assert answer.status_code == 415


def test_get_answers_with_typed_metadata(api: Api, things: str) -> None:
    found = ask(api, f"{things}/get", include=["documents", "metadatas", "embeddings", "uris"])
    assert found.column_names == ["id", "document", "uri", "metadata", "embedding"]
    assert found["metadata"].type == pa.struct(
        [("n", pa.int64()), ("f", pa.float64()), ("t", pa.list_(pa.string()))]
    )
    assert found["metadata"].to_pylist() == [
        {"n": 1, "f": 1.0, "t": None},
        {"n": 2, "f": None, "t": ["x", "y"]},
        None,
    ]
    assert found["id"].to_pylist() == ["a", "b", "c"]
    assert found["document"].to_pylist() == ["red", None, "blue"]
    assert found["embedding"].type == pa.list_(pa.float32(), 2)
    assert np.allclose(arrow_codec.matrix(found["embedding"]), [[1, 0], [0, 1], [0.1, 2.5]])


def test_get_answers_with_metadata_as_json(api: Api, things: str) -> None:
    found = ask(api, f"{things}/get", metadata="json", order_by=["-n"], limit=2)
    assert found["metadata"].to_pylist() == ['{"n":2,"t":["x","y"]}', '{"n":1,"f":1.0}']
    assert found.column_names == ["id", "document", "metadata"]


def test_filters_and_pages_hold_for_streams(api: Api, things: str) -> None:
    assert ask(api, f"{things}/get", where={"n": 2}, include=[])["id"].to_pylist() == ["b"]
    assert ask(api, f"{things}/get", limit=1, offset=1, include=[])["id"].to_pylist() == ["b"]
    none = ask(api, f"{things}/get", ids=["no"], include=["metadatas", "embeddings"])
    assert none.num_rows == 0
    assert none["embedding"].type == pa.list_(pa.float32(), 2)


def test_an_empty_collection_is_an_empty_stream(api: Api) -> None:
    found = ask(api, f"{api.collection('empty')}/get", include=["embeddings", "metadatas"])
    assert found.num_rows == 0 and found["embedding"].type == pa.list_(pa.float32(), 0)


def test_query_answers_with_distances(api: Api, things: str) -> None:
    found = ask(
        api,
        f"{things}/query",
        query_embeddings=[[1, 0], [0, 1]],
        n_results=2,
        include=["metadatas", "embeddings"],
    )
    assert found["query"].to_pylist() == [0, 0, 1, 1]
    assert found["id"].to_pylist() == ["a", "b", "b", "a"]
    assert found["distance"].to_pylist() == [0.0, 2.0, 0.0, 2.0]
    assert found["metadata"].to_pylist()[0] == {"n": 1, "f": 1.0, "t": None}
    assert arrow_codec.matrix(found["embedding"])[1].tolist() == [0, 1]


def test_query_gives_metadata_as_json_too(api: Api, things: str) -> None:
    found = ask(api, f"{things}/query", query_embeddings=[[1, 0]], n_results=1, metadata="json")
    assert found["metadata"].to_pylist() == ['{"n":1,"f":1.0}']
    assert found["document"].to_pylist() == ["red"]


@pytest.mark.parametrize(
    ("verb", "body", "status"),
    [
        ("get", {"metadata": "xml"}, 422),
        ("query", {"query_embeddings": []}, 400),
        ("query", {"query_embeddings": [[1, 0]], "n_results": 0}, 400),
        ("get", {"where": {"n": {"$no": 1}}}, 400),
        ("query", {"query_embeddings": [[1, 0, 0]]}, 400),
    ],
)
def test_errors_stay_json(api: Api, things: str, verb: str, body: dict[str, Any], status: int) -> None:
    answer = api.post(f"{things}/{verb}", body, headers=ACCEPT)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["message"]


def test_too_many_keys_for_a_struct_are_refused_by_name(api: Api, things: str) -> None:
    many = batch("many", metadata=[json.dumps({f"k{i}": 1 for i in range(2100)})])
    assert send(api, f"{things}/add", many).status_code == 201
    answer = api.post(f"{things}/get", {}, headers=ACCEPT)
    assert answer.status_code == 400 and '"metadata": "json"' in answer.json()["message"]
    assert ask(api, f"{things}/get", metadata="json").num_rows == 4


def test_export_goes_back_in_unchanged(api: Api, things: str) -> None:
    """Types of every kind, over a stream out and a stream in."""
    values = [{"v": 1}, {"v": 1.0}, {"v": True}, {"v": "1"}, {"v": [1, 2]}, {"v": [1.0]}, {"w": ["x"]}, None]
    rich = batch(
        *[f"r{row}" for row in range(len(values))],
        metadata=[None if value is None else json.dumps(value) for value in values],
        document=["text"] * 7 + [None],
        uri=[None] * 7 + ["u"],
    )
    assert send(api, f"{things}/add", rich).status_code == 201
    exported = api.post(f"{things}/chroma-arrow/export")
    table = pa.ipc.open_stream(exported.content).read_all()
    assert table.column_names == ["id", "document", "uri", "metadata", "embedding"]
    copy = api.collection("copy")
    answer = api.request("POST", f"{copy}/add", content=exported.content, headers=MEDIA)
    assert answer.status_code == 201, answer.text
    every = {"include": ["documents", "uris", "metadatas", "embeddings"]}
    one, two = (api.post(f"{path}/get", every).json() for path in (things, copy))
    assert repr(sorted_metadata(one)) == repr(sorted_metadata(two))


def sorted_metadata(found: dict[str, Any]) -> dict[str, Any]:
    """JSON keeps the order of keys, a struct has its own."""
    return found | {"metadatas": [entry and dict(sorted(entry.items())) for entry in found["metadatas"]]}


def test_a_large_answer_is_several_batches(api: Api) -> None:
    path = api.collection("large")
    rows, width = 40_000, 128
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(rows * width, np.float32)), width)
    large = pa.RecordBatch.from_pydict({"id": [f"r{row}" for row in range(rows)], "embedding": vectors})
    assert send(api, f"{path}/add", large).status_code == 201
    answer = api.post(f"{path}/chroma-arrow/export", {"include": ["embeddings"]})
    batches = [*pa.ipc.open_stream(answer.content)]
    assert len(batches) > 1 and max(part.nbytes for part in batches) < 16 << 20
    assert sum(part.num_rows for part in batches) == rows


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("order", [None, ["-n"]])
def test_long_texts_after_short_ones_make_no_larger_batches(
    api: Api, settled: bool, order: list[str] | None
) -> None:
    path = api.collection("uneven")
    rows = range(20_000)
    texts = ["x" * 1_000_000 if row >= 19_900 and row % 5 == 0 else f"{row}" for row in rows]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(len(rows), np.float32)), 1)
    uneven = pa.RecordBatch.from_pydict(
        {"id": [f"r{row}" for row in rows], "embedding": vectors, "document": texts, "n": [*reversed(rows)]}
    )
    assert send(api, f"{path}/add", uneven).status_code == 201
    if settled:
        assert api.post(f"{path}/chroma-arrow/compact").status_code == 200
    answer = api.post(f"{path}/chroma-arrow/export", {"include": ["documents"], "order_by": order})
    batches = [*pa.ipc.open_stream(answer.content)]
    assert max(part.nbytes for part in batches) < 10 << 20
    assert [text for part in batches for text in part.column("document").to_pylist()] == texts


def test_the_pre_flight_answer_names_the_media_type(api: Api) -> None:
    assert api.get("/api/v2/pre-flight-checks").json()["chroma_arrow"]["arrow"] == MEDIA["Content-Type"]


def test_an_atomic_stream_is_one_write(api: Api, things: str) -> None:
    answer = send(api, f"{things}/add?atomic=true", batch("d", "e"), batch("f"), batch("a"))
    assert answer.json() == {"added": 3, "updated": 0, "skipped": 1, "rows": 4}
    refused = send(api, f"{things}/add?atomic=true", batch("g", "h"), batch("i", "i"))
    assert refused.status_code == 400 and "durable_rows" not in refused.json()
    across = send(api, f"{things}/add?atomic=true", batch("g", "h"), batch("h"))
    assert across.status_code == 400 and across.json()["error"] == "DuplicateID"
    cut = api.request(
        "POST", f"{things}/add?atomic=true", content=stream(batch("g"), batch("h"))[:-20], headers=MEDIA
    )
    assert cut.status_code == 400
    assert api.get(f"{things}/count").json() == 6
    assert send(api, f"{things}/add?atomic=perhaps", batch("g")).status_code == 400


def test_an_atomic_update_may_leave_vectors_out(api: Api, things: str) -> None:
    some = pa.array([[5.0, 5.0], None], pa.list_(pa.float32(), 2))
    none = pa.array([None], pa.list_(pa.float32(), 2))
    first = pa.RecordBatch.from_pydict({"id": ["a", "b"], "embedding": some, "n": [7, 8]})
    second = pa.RecordBatch.from_pydict({"id": ["c"], "embedding": none, "n": [9]})
    assert send(api, f"{things}/update?atomic=true", first, second).json()["updated"] == 3
    found = api.post(f"{things}/get", {"include": ["embeddings", "metadatas"]}).json()
    assert found["embeddings"][0] == [5.0, 5.0]
    assert found["embeddings"][1] == [0.0, 1.0]
    assert [entry["n"] for entry in found["metadatas"]] == [7, 8, 9]


def test_an_atomic_stream_has_a_bound(serve: Any) -> None:
    api = serve(max_body_bytes=20_000)
    path = api.collection()
    many = [batch(*(f"{part}-{row}" for row in range(300))) for part in range(5)]
    answer = send(api, f"{path}/add?atomic=true", *many)
    assert answer.status_code == 413 and "without atomic=true" in answer.json()["message"]
    assert api.get(f"{path}/count").json() == 0
    assert send(api, f"{path}/add", *many).json()["rows"] == 1500
