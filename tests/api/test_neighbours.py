"""Neighbours, duplicates, and questions that are stored records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma.errors import InvalidArgumentError, NotFoundError


@pytest.fixture
def points(client: Any) -> Any:
    """Points on a line: 0, 1, 2, 4, and 4 again."""
    collection = client.create_collection("points", embedding_function=None)
    collection.add(
        ids=["zero", "one", "two", "four", "again"],
        embeddings=[[0.0, 0], [1, 0], [2, 0], [4, 0], [4, 0]],
        metadatas=[{"n": 0}, {"n": 1}, {"n": 2}, {"n": 4}, {"n": 4}],
    )
    return collection


def test_more_like_this(points: Any) -> None:
    found = points.query(query_ids=["zero", "four"], n_results=2)
    assert found["ids"] == [["one", "two"], ["again", "two"]]
    assert found["distances"] == [[1.0, 4.0], [0.0, 4.0]]
    assert points.query(query_ids="two", n_results=9)["ids"] == [["one", "zero", "four", "again"]]
    assert points.query(query_ids=["zero", "zero"], n_results=1)["ids"] == [["one"], ["one"]]
    assert points.query(query_ids=["zero"], where={"n": 4}, n_results=1)["ids"] == [["four"]]
    assert points.query(query_ids=["zero"], ids=["zero", "two"])["ids"] == [["two"]]
    assert points.query(query_ids=["zero"], max_distance=1.0)["ids"] == [["one"]]


def test_more_like_this_but_diverse(points: Any) -> None:
    """The record itself is no hit that others could differ from."""
    options: dict[str, Any] = {"n_results": 3, "diversity": 0.6}
    for where in (None, {"n": {"$lte": 4}}):
        found = points.query(query_ids=["one", "four"], where=where, **options)["ids"]
        for id, mine in zip(["one", "four"], found, strict=True):
            vector = points.get(ids=[id], include=["embeddings"])["embeddings"]
            others = [other for other in ("zero", "one", "two", "four", "again") if other != id]
            assert points.query(vector, ids=others, **options)["ids"] == [mine]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query_embeddings": [[1, 2]]}, "query_ids and query_embeddings are both questions"),
        ({"query_texts": ["x"]}, "query_ids and query_texts are both questions"),
        ({"mode": "lexical"}, "mode='lexical'"),
        ({"mode": "hybrid"}, "mode='hybrid'"),
        ({"rerank": lambda text, documents: [1.0] * len(documents)}, "query_texts"),
    ],
)
def test_one_question_at_a_time(points: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        points.query(query_ids=["zero"], **arguments)


def test_an_unknown_id_is_no_question(points: Any) -> None:
    with pytest.raises(NotFoundError, match="query_ids names 'three', which is not stored"):
        points.query(query_ids=["one", "three"])


def test_pages_of_hits(points: Any) -> None:
    question = {"query_embeddings": [[0, 0], [5, 0]], "n_results": 2}
    pages = [points.query(**question, offset=offset)["ids"] for offset in (0, 2, 4, 6)]
    assert pages == [
        [["zero", "one"], ["four", "again"]],
        [["two", "four"], ["two", "one"]],
        [["again"], ["zero"]],
        [[], []],
    ]
    assert points.query(query_ids=["zero"], n_results=1, offset=1)["ids"] == [["two"]]
    found = points.query(**question, offset=1, include=["metadatas", "embeddings", "distances"])
    assert found["metadatas"][0] == [{"n": 1}, {"n": 2}]
    assert found["distances"][0] == [1.0, 4.0]
    assert found["embeddings"][0].tolist() == [[1, 0], [2, 0]]


@pytest.mark.parametrize("offset", [-1, 1.5, True, "1"])
def test_offsets_are_counts(points: Any, offset: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="offset"):
        points.query(query_embeddings=[[0, 0]], offset=offset)


def test_an_offset_needs_a_fixed_order(points: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="offset=1 cannot be combined with diversity"):
        points.query(query_embeddings=[[0, 0]], offset=1, diversity=0.5)


def test_neighbours(points: Any) -> None:
    pytest.importorskip("pyarrow")
    table = points.neighbours(2)
    assert table.column_names == ["id", "neighbour", "rank", "distance"]
    found: dict[str, list[tuple[str, float]]] = {}
    for row in table.to_pylist():
        assert row["rank"] == len(found.setdefault(row["id"], []))
        found[row["id"]].append((row["neighbour"], row["distance"]))
    assert found == {
        "zero": [("one", 1), ("two", 4)],
        "one": [("zero", 1), ("two", 1)],
        "two": [("one", 1), ("zero", 4)],
        "four": [("again", 0), ("two", 4)],
        "again": [("four", 0), ("two", 4)],
    }
    some = points.neighbours(5, where={"n": {"$lt": 2}}, exact=True)
    assert some.select(["id", "neighbour"]).to_pylist() == [
        {"id": "zero", "neighbour": "one"},
        {"id": "one", "neighbour": "zero"},
    ]
    assert points.neighbours(3, where={"n": 1}).num_rows == 0


def test_duplicates(points: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    for module in ("_sync", "_async"):
        monkeypatch.setattr(f"chroma.{module}.collection_neighbours._FIRST", 2)
        monkeypatch.setattr(f"chroma.{module}.collection_neighbours._STEP", 2)
    assert points.duplicates(0.5).to_pylist() == [{"id": "four", "duplicate": "again", "distance": 0.0}]
    pairs = points.duplicates(4).select(["id", "duplicate"]).to_pylist()
    assert [(row["id"], row["duplicate"]) for row in pairs] == [
        ("four", "again"),
        ("zero", "one"),
        ("one", "two"),
        ("zero", "two"),
        ("two", "four"),
        ("two", "again"),
    ]
    assert points.duplicates(4, where={"n": {"$lt": 2}}).num_rows == 1


@pytest.mark.parametrize("hits", [1, 300, 200_000])
def test_many_equal_records(client: Any, monkeypatch: pytest.MonkeyPatch, hits: int) -> None:
    """However many hits one call may have: with many equal records, all at once take gigabytes."""
    pytest.importorskip("pyarrow")
    for module in ("_sync", "_async"):
        monkeypatch.setattr(f"chroma.{module}.collection_neighbours._MOST_HITS", hits)
    collection = client.create_collection("equal", embedding_function=None)
    collection.add(ids=[str(row) for row in range(60)], embeddings=np.ones((60, 4)))
    pairs = collection.duplicates(0)
    assert pairs.num_rows == 60 * 59 // 2
    earlier, later = (pairs[name].cast("int64").to_numpy() for name in ("id", "duplicate"))
    assert (earlier < later).all()


def test_too_many_pairs_are_an_error(points: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("chroma.tables.neighbour_tables._PAIRS", 3)
    with pytest.raises(InvalidArgumentError, match="more than 3 pairs are that near"):
        points.duplicates(100)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda points: points.neighbours(0), "k"),
        (lambda points: points.duplicates("near"), "max_distance"),
        (lambda points: points.duplicates(0.1, exact=1), "exact"),
    ],
)
def test_nonsense(points: Any, call: Any, message: str) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(InvalidArgumentError, match=message):
        call(points)
