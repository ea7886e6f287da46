"""Tables of servers that have no Arrow, and no SQL."""

from __future__ import annotations

import importlib.util
from typing import Any

import polars as pl
import pytest

import chroma
from chroma.errors import InternalError, UnsupportedError

from ...support import driven
from ...support.checks import refused
from .scripted import INFO, Reply, Request, scripted

ROWS = 2500  # more than two pages
METADATAS: list[Any] = [
    None if row % 5 == 0 else {"n": row, "id": "x"} if row < 2000 else {"n": str(row), "tags": ["a", "b"]}
    for row in range(ROWS)
]


def answer(request: Request) -> Reply:
    """A server that knows the collection by its id, and gives its records in pages."""
    if request.path.endswith("/get"):
        body = request.body
        start = body.get("offset") or 0
        stop = min(ROWS, start + (ROWS if body.get("limit") is None else body["limit"]))
        places, included = range(start, stop), body["include"]
        columns: dict[str, list[Any]] = {
            "documents": [f"text {row}" if row % 2 else None for row in places],
            "uris": [None for _ in places],
            "metadatas": [METADATAS[row] for row in places],
            "embeddings": [[row, 0.5] for row in places],
        }
        chosen = {name: column if name in included else None for name, column in columns.items()}
        return Reply(200, {"ids": [f"r{row}" for row in places], "include": included, **chosen})
    if request.path.endswith(str(INFO["id"])):
        return Reply(200, INFO | {"dimension": 2})
    return Reply(404, {"error": "NotFoundError", "message": request.path})


@pytest.fixture(params=["sync", "async"])
def things(request: pytest.FixtureRequest) -> Any:
    with scripted(max_batch_size=100) as running:
        running.script = answer
        make = chroma.HttpClient if request.param == "sync" else driven.HttpClient
        with make("127.0.0.1", running.port) as client:
            yield client.get_collection("things", embedding_function=None)


def test_records_come_in_pages(things: Any) -> None:
    table = things.to_arrow()
    assert table.num_rows == ROWS
    assert table.column_names == [
        "id", "document", "uri", "metadata[int].n", "metadata[str].n", "metadata.id", "tags", "embedding",
    ]  # fmt: skip
    assert table["embedding"][2499].as_py() == [2499, 0.5]
    assert table.slice(2001, 1).to_pylist()[0]["metadata[str].n"] == "2001"
    frame = things.to_pandas()
    assert frame["n"][1] == 1
    assert frame["n"][2001] == "2001"
    assert things.to_polars(["id", "tags"], limit=1200).height == 1200
    assert things.to_arrow(["document"], offset=2400)["document"].to_pylist()[1] == "text 2401"
    assert things.to_arrow(metadata="json")["metadata"][1].as_py() == '{"n":1,"id":"x"}'
    with refused("'nope'", "tags"):
        things.to_arrow(["nope"])


def test_there_is_no_sql(things: Any) -> None:
    with refused("sql", error=UnsupportedError):
        things.sql("from records")


@pytest.mark.parametrize("package", ["pyarrow", "orjson"])
def test_without_arrow_the_error_says_what_to_install(
    things: Any, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    result = things.get(limit=1)
    for call in (
        things.to_arrow,
        things.to_pandas,
        things.to_polars,
        things.to_batches,
        things.describe,
        result.to_arrow,
        result.to_pandas,
        lambda: things.sql("from records"),
        lambda: things.add(pl.DataFrame({"id": ["a"]})),
    ):
        with refused(f"the package {package}", "chroma-arrow-client[arrow]"):
            call()


def test_a_server_that_leaves_out_vectors() -> None:
    def without(request: Request) -> Reply:
        reply = answer(request)
        if isinstance(reply.body, dict):
            reply.body["embeddings"] = None
        return reply

    with scripted(max_batch_size=100) as running:
        running.script = without
        with chroma.HttpClient("127.0.0.1", running.port) as client:
            collection = client.get_collection("things", embedding_function=None)
            with refused("embeddings", error=InternalError):
                collection.to_arrow()
