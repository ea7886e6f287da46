"""What `query` and `search` choose among the nearest records: `max_distance`, `diversity`, `rerank`; and what
they tell about it: `explain`. On every kind of client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from chroma import Explanation, K, Knn, Rrf, Schema, Search, SparseVector, SparseVectorIndexConfig, Val
from chroma.errors import ChromaError, UnsupportedError

from ..model.oracle import DISTANCES
from ..support.checks import refused

N, DIM = 60, 6
VECTORS = np.random.default_rng(5).normal(size=(N, DIM)).astype(np.float32)
VECTORS[7] = VECTORS[3]  # equal distances
QUERIES = np.random.default_rng(6).normal(size=(3, DIM)).astype(np.float32)


def filled(client: Any, space: str = "l2", **more: Any) -> Any:
    """Records in a segment, in the memtable, and deleted ones."""
    made = client.create_collection(
        "points", configuration={"hnsw": {"space": space}}, **({"embedding_function": None} | more)
    )
    for rows in (range(40), range(40, N)):
        made.add(
            ids=[f"r{row}" for row in rows],
            embeddings=VECTORS[rows.start : rows.stop],
            metadatas=[{"even": row % 2 == 0} for row in rows],
            documents=[f"text {row}" if row % 5 else None for row in rows],
        )
        if rows.start == 0:
            made.compact()
    made.delete(ids=["r1", "r50"])
    return made


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_max_distance_cuts_what_is_farther(client: Any, reopen: Callable[[Any], Any], space: str) -> None:
    filled(client, space)
    for again in (False, True):
        points = (reopen(client) if again else client).get_collection("points", embedding_function=None)
        everything = points.query(query_embeddings=QUERIES, n_results=20)
        limit = everything["distances"][0][4]
        for more in ({}, {"exact": True}, {"where": {"even": True}}, {"ids": ["r3", "r7", "r9", "none"]}):
            plain = points.query(query_embeddings=QUERIES, n_results=20, **more)
            near = points.query(query_embeddings=QUERIES, n_results=20, max_distance=limit, **more)
            expected = [
                [pair for pair in zip(ids, distances, strict=True) if pair[1] <= limit]
                for ids, distances in zip(plain["ids"], plain["distances"], strict=True)
            ]
            assert [list(zip(*pair, strict=True)) for pair in zip(near["ids"], near["distances"])] == expected
        one = points.query(query_embeddings=QUERIES[:1], n_results=20, max_distance=np.float64(limit))
        assert one["ids"][0] == everything["ids"][0][:5]  # the limit itself is near enough
        assert [len(column) for column in one["documents"] + one["metadatas"]] == [5, 5]
        if space == "ip":
            assert points.query(query_embeddings=QUERIES, max_distance=-1000)["ids"] == [[], [], []]
            continue
        points.query(query_embeddings=QUERIES, max_distance=-0.0)  # is zero
        for more in ({}, {"exact": True}, {"diversity": 0.5}, {"query_ids": "r2", "query_embeddings": None}):
            with refused("max_distance to be zero or positive, got -0.5", repr(space)):
                points.query(**{"query_embeddings": QUERIES, "max_distance": -0.5, **more})


def test_distances_that_are_no_limit(collection: Any) -> None:
    for bad in (float("nan"), float("inf"), 10**400, "1", True, [1]):
        with refused("max_distance", "number"):
            collection.query(query_embeddings=[[1, 2]], max_distance=bad)


def marginal(space: str, query: Any, rows: list[int], diversity: float, k: int) -> list[str]:
    """Carbonell and Goldstein's formula, record by record, over rows from the nearest to the farthest."""
    wide = VECTORS.astype(float)
    relevance = {row: -DISTANCES[space](query.astype(float), wide[[row]])[0] for row in rows}
    chosen: list[int] = []
    while len(chosen) < min(k, len(rows)):

        def worth(row: int) -> float:
            like = max((-DISTANCES[space](wide[row], wide[[other]])[0] for other in chosen), default=0.0)
            return float((1 - diversity) * relevance[row] - diversity * like)

        left = [row for row in rows if row not in chosen]
        chosen.append(left[0] if not chosen else max(left, key=lambda row: round(worth(row), 5)))
    return [f"r{row}" for row in chosen]


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_diversity_is_maximal_marginal_relevance(client: Any, space: str) -> None:
    points = filled(client, space)
    for more in ({}, {"where": {"even": True}}):
        plain = points.query(query_embeddings=QUERIES, n_results=20, **more)
        nearest = [[int(id[1:]) for id in ids] for ids in plain["ids"]]
        for diversity in (0.3, 0.8, 1):
            found = points.query(
                query_embeddings=QUERIES, n_results=6, diversity=diversity, candidates=20, **more
            )
            expected = [marginal(space, *each, diversity, 6) for each in zip(QUERIES, nearest, strict=True)]
            assert found["ids"] == expected
            one = points.query(
                query_embeddings=QUERIES[:1], n_results=6, diversity=diversity, candidates=20, **more
            )
            assert (one["ids"][0], one["distances"][0]) == (found["ids"][0], found["distances"][0])
        assert points.query(query_embeddings=QUERIES, n_results=20, diversity=0, **more) == plain
        assert points.query(query_embeddings=QUERIES, n_results=20, diversity=None, **more) == plain


def test_diversity_with_its_neighbours(client: Any) -> None:
    points = filled(client)
    distances = points.query(query_embeddings=QUERIES, n_results=30)["distances"]
    limit = distances[0][9]
    found = points.query(query_embeddings=QUERIES, n_results=30, diversity=0.5, max_distance=limit)
    assert [len(ids) for ids in found["ids"]] == [sum(d <= limit for d in each) for each in distances]
    # by default, the results are chosen among five times as many, at least 50
    assert points.query(query_embeddings=QUERIES, n_results=3, diversity=0.9) == points.query(
        query_embeddings=QUERIES, n_results=3, diversity=0.9, candidates=50
    )
    assert points.query(query_embeddings=QUERIES, diversity=0.5, where={"even": 3})["ids"] == [[], [], []]
    empty = client.create_collection("empty", embedding_function=None)
    assert empty.query(query_embeddings=QUERIES, diversity=0.5)["ids"] == [[], [], []]
    equal = client.create_collection("equal", embedding_function=None)
    equal.add(ids=["a", "b", "c"], embeddings=[[1, 1]] * 3)
    assert equal.query(query_embeddings=[[0, 0]], diversity=1, n_results=2)["ids"] == [["a", "b"]]


CHOICES: list[dict[str, Any]] = [
    {"diversity": -0.1}, {"diversity": 1.1}, {"diversity": float("nan")}, {"diversity": "much"},
    {"diversity": True}, {"candidates": 20}, {"diversity": 0.5, "candidates": 9},
    {"diversity": 0.5, "candidates": 10.5}, {"diversity": 0.5, "candidates": 2**31},
    {"explain": 1},
]  # fmt: skip


def test_choices_that_are_refused(collection: Any) -> None:
    for arguments in CHOICES:
        with refused([*arguments][-1]):
            collection.query(query_embeddings=[[1, 2]], n_results=10, **arguments)


# ---------------------------------------------------------------------------- explain


def test_explanations_of_queries(client: Any) -> None:
    points = filled(client)
    plain = points.query(query_embeddings=QUERIES, where={"even": True})
    told = points.query(query_embeddings=QUERIES, where={"even": True}, explain=True)
    assert {key: told[key] for key in plain} == plain and told.keys() - plain.keys() == {"explain"}
    explained = told["explain"]
    assert type(explained) is Explanation
    assert sum(part.records for part in explained.parts) == N - 2
    assert sum(part.matches for part in explained.parts) == N // 2 - 1
    for part in explained.parts:
        (run,) = part.runs
        assert (part.knn, part.indexed, run.plan) == (0, False, {"name": "ScanAllowed"})
        assert (run.queries, run.candidates, run.misses) == (3, 3 * part.matches, 0)
        assert part.name in repr(explained)
    assert list(explained.seconds) == ["filter", "search", "merge", "read"]
    assert all(spent is not None and spent > 0 for spent in explained.seconds.values())
    nothing = points.query(query_embeddings=QUERIES[:1], where={"even": 3}, explain=True)["explain"]
    assert {run.plan["name"] for part in nothing.parts for run in part.runs} == {"Nothing"}


def test_explanations_of_searches(client: Any) -> None:
    points = filled(client)
    rank = Knn(QUERIES[0], limit=5) + Knn(QUERIES[1], limit=5, default=3)
    searches = [Search(K("even") == True, rank, limit=3), Search(K("even") == True, limit=2)]  # noqa: E712
    plain = points.search(searches)
    told = points.search(searches, explain=True)
    assert {key: told[key] for key in plain} == plain and told.keys() - plain.keys() == {"explain"}
    ranked, listed = told["explain"]
    assert {part.knn for part in ranked.parts} == {0, 1} and "knn 1" in repr(ranked)
    assert {run.plan["name"] for part in ranked.parts for run in part.runs} == {"ScanAllowed"}
    assert sum(part.matches for part in listed.parts) == N // 2 - 1
    assert not any(part.runs for part in listed.parts)
    assert points.search([], explain=True)["ids"] == []
    with refused("explain"):
        points.search(searches, explain="yes")


def test_explanations_of_sparse_ranks(client: Any) -> None:
    schema = Schema().create_index(SparseVectorIndexConfig(), "lex")
    made = client.create_collection("words", embedding_function=None, schema=schema)
    lex = [SparseVector([1, 2], [1.0, 2.0]), SparseVector([2], [1.0]), SparseVector([9], [1.0])]
    for row, vector in enumerate(lex):
        made.add(ids=[f"w{row}"], embeddings=[[row, 0]], metadatas=[{"lex": vector, "n": row}])
    rank = Knn(SparseVector([2], [1.0]), key="lex", limit=5) + Knn([0, 0], limit=5, default=1)
    explained = made.search(Search(K("n") >= 1, rank), explain=True)["explain"][0]
    sparse, dense = explained.parts
    assert (sparse.records, sparse.matches, dense.matches) == (3, 2, 2)
    (run,) = sparse.runs
    assert (run.plan, run.candidates) == ({"name": "SparseSearch", "key": "lex"}, 1)
    assert dense.runs[0].plan["name"] == "ScanAllowed" and "SparseSearch(key=lex)" in repr(explained)
    facets = made.facets(["lex", "n"])  # a sparse vector has no values to count
    assert facets["lex"] == {"values": [], "distinct": 0, "records": 3} and facets["n"]["distinct"] == 3


# ---------------------------------------------------------------------------- rerank


def by_number(text: str, documents: list[str]) -> list[float]:
    """Prefers the documents whose number is near to that of the text."""
    return [-abs(float(document.split()[1]) - float(text)) for document in documents]


class Awaited:
    """An asynchronous callable object."""

    async def __call__(self, text: str, documents: list[str]) -> list[float]:
        return by_number(text, documents)


async def awaited(text: str, documents: list[str]) -> Any:
    return np.array(by_number(text, documents))


def reranked(rows: list[tuple[str, str | None]], text: str, k: int) -> list[tuple[str, float | None]]:
    given = [(id, -abs(float(document.split()[1]) - float(text))) for id, document in rows if document]
    best: list[tuple[str, float | None]] = [*sorted(given, key=lambda pair: -pair[1])]
    return [*best, *((id, None) for id, document in rows if not document)][:k]


def test_queries_are_reranked(client: Any, client_kind: str) -> None:
    points = filled(client)
    ways = [by_number, *([awaited, Awaited()] if client_kind == "async" else [])]
    for way in ways:
        for candidates, k in ((12, 12), (12, 4), (None, 5)):
            plain = points.query(query_embeddings=QUERIES, n_results=candidates or 50)
            found = points.query(
                query_embeddings=QUERIES, query_texts=["3", "40.5", "9"], n_results=k, rerank=way,
                candidates=candidates, include=["distances", "embeddings"],
            )  # fmt: skip
            assert found["documents"] is None and found["metadatas"] is None
            for number, text in enumerate(["3", "40.5", "9"]):
                pairs = list(zip(plain["ids"][number], plain["documents"][number], strict=True))
                distances = dict(zip(plain["ids"][number], plain["distances"][number], strict=True))
                new = list(zip(found["ids"][number], found["rerank_scores"][number], strict=True))
                assert new == reranked(pairs, text, k)
                assert found["distances"][number] == [distances[id] for id, _ in new]
                rows = [int(id[1:]) for id, _ in new]
                assert np.array_equal(found["embeddings"][number], VECTORS[rows])
    none = points.query(query_embeddings=QUERIES[:1], query_texts="3", rerank=by_number, where={"even": 3})
    assert (none["ids"], none["rerank_scores"]) == ([[]], [[]])


def test_texts_are_embedded_and_reranked(collection: Any) -> None:
    collection.add(ids=["a", "b", "c"], documents=["text 1", "text 2", "text 3"])
    found = collection.query(query_texts=["2.9", "0"], rerank=by_number, n_results=2)
    assert found["ids"] == [["c", "b"], ["a", "b"]] and found["documents"][0] == ["text 3", "text 2"]
    search = Search(rank=Knn("2.9") + Knn("2.9") * Val(2)).limit(1, offset=1).select(K.SCORE)
    found = collection.search([search, search.limit(2)], rerank=by_number)
    assert found["ids"] == [["b"], ["c", "b"]] and found["documents"] == [None, None]
    plain = collection.search(Search(rank=Knn("2.9") * 3).select(K.SCORE))
    scores = dict(zip(plain["ids"][0], plain["scores"][0], strict=True))
    assert found["scores"][1] == pytest.approx([scores["c"], scores["b"]])
    assert [row["rerank_score"] for row in found.rows()[1]] == pytest.approx([-0.1, -0.9])
    assert collection.search(search.limit(2), rerank=by_number, candidates=2)["ids"][0] != []


def test_hybrid_searches_are_reranked(client: Any, embed: Any) -> None:
    schema = Schema().create_index(SparseVectorIndexConfig(), "lex")
    made = client.create_collection("words", embedding_function=embed, schema=schema)
    words = [{"lex": SparseVector([index], [1.0])} for index in (1, 1, 2)]
    made.add(ids=["a", "b", "c"], documents=["number 1", "number 2", "word 3"], metadatas=words)
    text, lex = "number 2", SparseVector([1], [1.0])
    knn = [Knn(text, return_rank=True), Knn(lex, key="lex", return_rank=True, default=100)]
    scores = {"number 1": 1, "number 2": 0, "word 3": 2}
    found = made.search(
        Search(rank=Rrf(knn), limit=2).select(K.SCORE),
        rerank=lambda given, documents: [scores[each] for each in documents if given == text],
        explain=True,
    )
    assert (found["ids"], found["rerank_scores"]) == ([["c", "a"]], [[2.0, 1.0]])
    assert {run.plan["name"] for part in found["explain"][0].parts for run in part.runs} == {
        "ScanAll", "SparseSearch",
    }  # fmt: skip


def test_reranked_results_as_tables(collection: Any) -> None:
    pytest.importorskip("pandas")
    collection.add(ids=["a", "b", "c"], documents=["text 1", "text 2", "text 3"])
    collection.add(ids=["d"], embeddings=[[0, 0, 0, 0]])
    queried = collection.query(query_texts=["2.9", "0"], rerank=by_number, n_results=4)
    searched = collection.search(
        [Search(rank=Knn(text)).select(K.SCORE) for text in ("2.9", "0")], rerank=by_number
    )
    for result in (queried, searched):
        table = result.to_arrow()
        assert table["id"].to_pylist() == ["c", "b", "a", "d", "a", "b", "c", "d"]
        assert table["rerank_score"].to_pylist()[3:5] == [None, -1.0]
        assert list(result.to_pandas().columns[:5])[-1] == "rerank_score"
        html = result._repr_html_()
        assert "rerank score" in html and "-1.0000" in html
        assert result.copy() == result


RERANKING: list[tuple[dict[str, Any], str]] = [
    ({"query_embeddings": [[1, 2, 3, 4]], "rerank": by_number}, "query_texts"),
    ({"query_texts": "1", "rerank": 3}, "function"),
    ({"query_texts": "1", "rerank": by_number, "diversity": 0.5}, "diversity and rerank"),
    ({"query_texts": "1", "rerank": by_number, "candidates": 3}, "at least the number of results, 10"),
    ({"query_texts": "1", "rerank": lambda text, documents: [1.0]}, "shape (1,) for 2"),
    ({"query_texts": "1", "rerank": lambda text, documents: [[1.0], [2.0]]}, "shape (2, 1)"),
    ({"query_texts": "1", "rerank": lambda text, documents: ["x", "y"]}, "one number per document"),
    ({"query_texts": "1", "rerank": lambda text, documents: None}, "number per document"),
    ({"query_texts": "1", "rerank": lambda text, documents: [1, float("nan")]}, "NaN"),
]


def test_reranking_that_is_refused(collection: Any) -> None:
    collection.add(ids=["a", "b"], documents=["text 1", "text 2"])
    for arguments, said in RERANKING:
        with refused(said):
            collection.query(**arguments)


def test_searches_that_cannot_be_reranked(collection: Any, client_kind: str) -> None:
    collection.add(ids=["a", "b"], documents=["text 1", "text 2"])
    with refused("searches[0] has none"):
        collection.search(Search(), rerank=by_number)
    with refused("searches[1]", "'1'", "'2'"):
        collection.search([Search(rank=Knn("1")), Search(rank=Knn("1") + Knn("2"))], rerank=by_number)
    with refused("candidates=5"):
        collection.search(Search(rank=Knn("1")), candidates=5)
    with pytest.raises(ZeroDivisionError):
        collection.search(Search(rank=Knn("1")), rerank=lambda text, documents: 1 / 0)
    if client_kind != "async":
        with refused("asynchronous", error=UnsupportedError):
            collection.query(query_texts="1", rerank=awaited)
    assert issubclass(UnsupportedError, ChromaError)
