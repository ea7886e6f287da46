"""Large answers are made while they are sent, and are the same as those that are made at once."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from chroma.server import read_responses
from chroma.storage.interface.values import CollectionRef
from chroma.storage.query import ranked_hits, scan

from .conftest import Api, refused

ARROW = "application/vnd.apache.arrow.stream"
ALL = ["documents", "metadatas", "uris", "embeddings", "distances"]


@pytest.fixture
def filled(api: Api) -> str:
    """Two segments and a tail, with gaps, escapes and every type of metadata."""
    path = api.collection()
    for start in (0, 40, 80):
        rows = range(start, start + 40)
        body = {
            "ids": [f"r{row}" for row in rows],
            "embeddings": [[row / 7, -row, 1e-7 * row] for row in rows],
            "documents": [
                None if row % 5 == 0 else f'a "text"\n\N{SNOWMAN} {row}' * (row % 3) for row in rows
            ],
            "metadatas": [
                None if row % 4 == 0 else {"n": row, "f": row / 3, "b": True, "l": ["x", "y"], "t": "\u0000é"}
                for row in rows
            ],
            "uris": [None if row % 3 else f"file://{row}" for row in rows],
        }
        assert api.post(f"{path}/add", body).status_code == 201
        if start < 80:
            api.backend.compact(_ref(path))
    assert api.post(f"{path}/delete", {"ids": ["r3", "r44", "r90"]}).status_code == 200
    return path


def _ref(path: str) -> CollectionRef:
    return CollectionRef("default_tenant", "default_database", path.rpartition("/")[2])


@pytest.mark.parametrize("include", [ALL, [], ["metadatas"], ["embeddings", "distances"]], ids=str)
@pytest.mark.parametrize("encoding", [None, "base64"])
@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("get", {}),
        ("get", {"limit": 7, "offset": 30}),
        ("get", {"where": {"n": {"$gt": 20}}, "order_by": ["-n"]}),
        ("get", {"ids": ["r100", "r1"]}),
        ("get", {"where": {"n": -1}}),
        ("query", {"query_embeddings": [[1, 2, 3]], "n_results": 50}),
        ("query", {"query_embeddings": [[1, 2, 3], [9, -60, 0], [0, 0, 0]], "n_results": 500}),
        ("query", {"query_embeddings": [[1, 2, 3]] * 3, "n_results": 5, "where": {"n": {"$lt": 3}}}),
        ("query", {"query_embeddings": [[1, 2, 3]] * 2, "n_results": 5, "where": {"n": -1}}),
    ],
)
def test_pieces_come_to_the_same_bytes(
    api: Api,
    filled: str,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    body: dict[str, Any],
    encoding: str | None,
    include: list[str],
) -> None:
    body = body | {"include": include, "encoding": encoding}
    at_once = api.post(f"{filled}/{verb}", body)
    monkeypatch.setattr(read_responses, "_AT_ONCE", -1)
    monkeypatch.setattr(read_responses, "_FEW_RECORDS", -1)
    monkeypatch.setattr(read_responses, "_PIECE", 100)
    monkeypatch.setattr(scan, "MOST_ROWS", 9)
    monkeypatch.setattr(ranked_hits, "_STEP", 11)
    streamed = api.post(f"{filled}/{verb}", body)
    assert (at_once.status_code, streamed.status_code) == (200, 200)
    assert streamed.content == at_once.content
    assert "content-length" in at_once.headers and "content-length" not in streamed.headers


def test_explanations_come_with_pieces(api: Api, filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"query_embeddings": [[1, 2, 3]] * 3, "n_results": 50, "explain": True}
    at_once = api.post(f"{filled}/query", body, headers={"Accept": ARROW}).json()
    monkeypatch.setattr(read_responses, "_AT_ONCE", -1)
    monkeypatch.setattr(read_responses, "_PIECE", 100)
    streamed = api.post(f"{filled}/query", body, headers={"Accept": ARROW}).json()
    assert at_once["explain"]["parts"] == streamed["explain"]["parts"] != []
    assert streamed["explain"]["seconds"]["read"] is None and at_once["explain"]["seconds"]["read"] > 0
    assert {**streamed, "explain": 0} == {**at_once, "explain": 0}


@pytest.mark.parametrize("form", ["json", "struct"])
def test_arrow_answers_of_queries_are_streamed(
    api: Api, filled: str, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    body = {"query_embeddings": [[1, 2, 3], [9, -60, 0]], "n_results": 60, "include": ALL, "metadata": form}
    at_once = api.post(f"{filled}/query", body, headers={"Accept": ARROW}).content
    monkeypatch.setattr(read_responses, "_AT_ONCE", -1)
    monkeypatch.setattr(ranked_hits, "_STEP", 11)
    streamed = api.post(f"{filled}/query", body, headers={"Accept": ARROW}).content
    tables = [pa.ipc.open_stream(content).read_all() for content in (at_once, streamed)]
    assert tables[0].to_pylist() == tables[1].to_pylist()
    assert tables[0].column_names == tables[1].column_names


def test_what_is_held_has_a_bound(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    api = serve(max_answer_bytes=64 << 10)
    path = api.collection()
    rows = range(200)
    body = {"ids": [f"r{row}" for row in rows], "embeddings": [[row, 1] for row in rows]}
    assert api.post(f"{path}/add", body | {"metadatas": [{"t": "x" * 1000}] * 200}).status_code == 201
    monkeypatch.setattr(read_responses, "FEW", 100)
    many = {"query_embeddings": [[1, 2]] * 20, "n_results": 2**31 - 1, "include": []}
    words = refused(api.post(f"{path}/query", many), 413, "ChromaError")
    assert "--max-answer-bytes" in words and "128,000" in words and "n_results" in words
    assert api.post(f"{path}/query", many | {"query_embeddings": [[1, 2]] * 10}).status_code == 200
    varied = many | {"n_results": 1, "diversity": 0.5, "candidates": 2**31 - 1}
    assert "128,000" in refused(api.post(f"{path}/query", varied), 413, "ChromaError")
    assert api.post(f"{path}/query", varied | {"query_embeddings": [[1, 2]] * 10}).status_code == 200
    monkeypatch.setattr(read_responses, "_AT_ONCE", 1000)
    one = {"query_embeddings": [[1, 2]], "n_results": 200, "include": ["metadatas"]}
    words = refused(api.post(f"{path}/query", one, headers={"Accept": ARROW}), 413, "ChromaError")
    assert "--max-answer-bytes" in words and '"metadata": "json"' in words
    assert api.post(f"{path}/query", one).status_code == 200
