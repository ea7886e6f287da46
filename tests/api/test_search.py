"""`search`: the contract's worked examples, and what is refused, on every kind of client."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from chroma import GroupBy, K, Knn, MaxK, MinK, Rrf, Search, Val
from chroma.errors import ChromaError, InvalidArgumentError
from chroma.execution.expression import And, Rank
from chroma.types import ReadLevel

SHELF: list[tuple[str, list[float], dict[str, Any] | None, str]] = [
    ("a", [0, 0], {"kind": "fruit", "year": 2020, "price": 3}, "red apple pie"),
    ("b", [1, 0], {"kind": "fruit", "year": 2021, "price": 1}, "green apple"),
    ("c", [0, 2], {"kind": "fruit", "year": 2021, "price": 2.5}, "banana split"),
    ("d", [2, 2], {"kind": "tool", "year": 2020, "price": 10}, "red hammer"),
    ("e", [3, 0], {"kind": "tool", "year": 2022}, "saw"),
    ("f", [0, 4], {"kind": "tool", "price": 7}, ""),
    ("g", [1, 1], {"year": 2022, "price": 1}, "apple"),
    ("h", [4, 4], None, "red red apple"),
]


@pytest.fixture
def shelf(client: Any) -> Any:
    made = client.create_collection("shelf", embedding_function=None)
    ids, vectors, metadatas, documents = zip(*SHELF, strict=True)
    made.add(ids=list(ids), embeddings=list(vectors), metadatas=list(metadatas), documents=list(documents))
    return made


def near(vector: Any, limit: int = 8, **more: Any) -> Knn:
    return Knn(vector, limit=limit, **more)


D, D2, D3 = near([0, 0]), near([0, 0], 2), near([0, 0], 3)
E, E2, E3 = near([4, 4]), near([4, 4], 2), near([4, 4], 3)
ranks = {"return_rank": True}
kinds = ["kind", "year"]


def scored(collection: Any, search: Search) -> list[tuple[str, float | None]]:
    found = collection.search(search.select(K.SCORE))
    (ids,), (scores,) = found["ids"], found["scores"]
    return [(id, None if score is None else round(score, 6)) for id, score in zip(ids, scores, strict=True)]


def said(text: str) -> list[tuple[str, float | None]]:
    """`"a 0, b null"` as ids and scores."""
    pairs = [pair.split() for pair in text.split(", ") if pair]
    return [(id, None if score == "null" else float(score.replace("−", "-"))) for id, score in pairs]


EXAMPLES = [
    (Search(rank=D), "a 0, b 1, g 2, c 4, d 8, e 9, f 16, h 32"),
    (Search(rank=D).limit(3, offset=2), "g 2, c 4, d 8"),
    (Search(rank=D3), "a 0, b 1, g 2"),
    (Search(rank=D2).where(K("kind") == "tool"), "d 8, e 9"),
    (Search(rank=D).where(K("kind") != "fruit"), "g 2, d 8, e 9, f 16, h 32"),
    (Search(rank=D).where(K.DOCUMENT.regex("^red")), "a 0, d 8, h 32"),
    (Search(rank=D * 2 + 1), "a 1, b 3, g 5, c 9, d 17, e 19, f 33, h 65"),
    (Search(rank=D - E), "a −32, b −24, c −16, g −16, e −8, d 0, f 0, h 32"),
    (Search(rank=D.max(5)), "a 5, b 5, c 5, g 5, d 8, e 9, f 16, h 32"),
    (Search(rank=D3 + E3), ""),
    (Search(rank=D3 + near([4, 4], 3, default=100)), "a 100, b 101, g 102"),
    (Search(rank=near([0, 0], 3, default=100) + E3), "h 100, d 108, f 116"),
    (Search(rank=near([0, 0], 2, default=10) + near([4, 4], 2, default=20)), "h 10, d 18, a 20, b 21"),
    (Search(rank=near([0, 0], 2, default=5)), "a 0, b 1"),
    (Search(rank=Val(1)), ""),
    (Search(rank=D * 0 + 1), "a 1, b 1, c 1, d 1, e 1, f 1, g 1, h 1"),
    (
        Search(rank=Rrf([near([0, 0], **ranks), near([4, 4], **ranks)])),
        "d −0.032018, g −0.031754, a −0.031592, h −0.031592, b −0.031545, f −0.031281, c −0.031258, "
        "e −0.031258",
    ),
    (
        Search(rank=Rrf([near([0, 0], **ranks), near([4, 4], **ranks)], k=1, weights=[2, 1])),
        "a −2.125, h −1.25, b −1.142857, d −0.9, g −0.866667, c −0.666667, f −0.619048, e −0.583333",
    ),
    (Search(rank=D.log()).limit(4), "a null, b 0, g 0.693147, c 1.386294"),
    (
        Search(rank=(D - 2).log()),
        "g null, c 0.693147, d 1.791759, e 1.945910, f 2.639057, h 3.401197, a null, b null",
    ),
    (Search(rank=D, group_by=GroupBy(K("kind"), MinK(K.SCORE, 1))), "a 0, g 2, d 8"),
    (Search(rank=D, group_by=GroupBy("kind", MaxK(K.SCORE, 1))), "c 4, f 16, h 32"),
    (Search(rank=D, group_by=GroupBy("kind", MinK("price", 1))), "b 1, e 9, h 32"),
    (Search(rank=D, group_by=GroupBy("kind", MaxK("price", 1))), "a 0, g 2, d 8"),
    (Search(rank=D, group_by=GroupBy("kind", MinK([K("year"), K.SCORE], 1))), "a 0, f 16, h 32"),
    (
        Search(rank=D, group_by=GroupBy(kinds, MinK(K.SCORE, 1))),
        "a 0, b 1, g 2, d 8, e 9, f 16, h 32",
    ),
    (Search(rank=D3, group_by=GroupBy("kind", MinK(K.SCORE, 1))), "a 0, g 2"),
    (Search(where=K("price") >= 3), "a 0, d 1, f 2"),  # without a rank, the place on the page
]


def test_worked_examples(shelf: Any) -> None:
    for search, answer in EXAMPLES:
        assert scored(shelf, search) == said(answer), search


def test_worked_examples_after_compaction_updates_and_reopening(client: Any, shelf: Any) -> None:
    shelf.add(ids=["x", "y"], embeddings=[[0, 0], [9, 9]], metadatas=[{"kind": "fruit"}, {"price": 5}])
    shelf.compact()
    shelf.upsert(ids=["b", "h"], embeddings=[[1, 0], [4, 4]])  # newer versions in a memtable, same places
    shelf.delete(ids=["x", "y"])
    again = client.get_collection("shelf", embedding_function=None)
    for search, answer in EXAMPLES:
        assert scored(again, search) == said(answer), search
    shelf.compact()
    found = again.search([search.select(K.SCORE) for search, _ in EXAMPLES])
    assert [len(ids) for ids in found["ids"]] == [len(said(answer)) for _, answer in EXAMPLES]


def test_a_key_named_as_a_column_keeps_its_values(client: Any) -> None:
    pytest.importorskip("pyarrow")
    collection = client.create_collection("odd", embedding_function=None)
    collection.add(ids=["a"], embeddings=[[1.0]], metadatas=[{"score": "mine", "distance": 2}])
    table = collection.search(Search().rank(Knn([3.0])).select(K.SCORE, K.METADATA)).to_arrow()
    assert table["score"].to_pylist() == [4.0]
    assert table["metadata.score"].to_pylist() == ["mine"]
    assert table["metadata.distance"].to_pylist() == [2]


def test_what_is_returned(shelf: Any) -> None:
    found = shelf.search(
        [
            Search(rank=D3),
            Search(rank=D3).select_all(),
            Search(rank=E2).select(K("year"), "kind", K.DOCUMENT, "#id", "#unknown", "missing"),
        ]
    )
    assert found["ids"] == [["a", "b", "g"], ["a", "b", "g"], ["h", "d"]]
    assert found["documents"] == [
        None,
        ["red apple pie", "green apple", "apple"],
        ["red red apple", "red hammer"],
    ]
    assert found["embeddings"] == [None, [[0, 0], [1, 0], [1, 1]], None]
    assert found["metadatas"][0] is None and found["metadatas"][1][2] == {"year": 2022, "price": 1}
    assert found["metadatas"][2] == [None, {"kind": "tool", "year": 2020}]
    assert found["scores"] == [None, [0, 1, 2], None]
    everything = ["#document", "#embedding", "#metadata", "#score"]
    assert found["select"] == [[], everything, ["#document", "kind", "missing", "year"]]
    rows = found.rows()
    assert rows[0] == [{"id": "a"}, {"id": "b"}, {"id": "g"}]
    assert rows[1][1] == {
        "id": "b", "document": "green apple", "embedding": [1, 0], "metadata": SHELF[1][2], "score": 1,
    }  # fmt: skip
    assert rows[2][0] == {"id": "h", "document": "red red apple"}
    assert "green apple" in found._repr_html_()
    pytest.importorskip("pandas")
    frame = found.to_pandas()
    assert frame["query"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2] and frame["rank"].tolist()[:3] == [1, 2, 3]
    assert frame["embedding"][3].tolist() == [0, 0] and frame["embedding"].isna().sum() == 5
    assert frame["score"][3:6].tolist() == [0, 1, 2] and frame["score"].isna().sum() == 5


def test_no_search_and_no_records(client: Any, shelf: Any) -> None:
    columns = ("ids", "documents", "embeddings", "metadatas", "scores", "select")
    for nothing in ([], None):
        assert shelf.search(nothing) == {name: [] for name in columns}
    empty = client.create_collection("empty", embedding_function=None)
    found = empty.search([Search(rank=near([1, 2, 3])).select_all(), Search().select_all()])
    assert found["ids"] == [[], []] and found["scores"] == [[], []] and found["embeddings"] == [[], []]


def test_pages_and_insertion_order(shelf: Any) -> None:
    assert shelf.search(Search())["ids"] == [list("abcdefgh")]
    assert shelf.search(Search(limit=2))["ids"] == [["a", "b"]]
    assert shelf.search(Search(limit={"limit": 3, "offset": 6}))["ids"] == [["g", "h"]]
    assert shelf.search(Search(rank=D).limit(5, offset=100))["ids"] == [[]]
    assert shelf.search(Search(where={"#id": {"$in": ["d", "b", "unknown"]}}))["ids"] == [["b", "d"]]
    mixed = (K.ID != "a") & ((K("price") > 2) | K.DOCUMENT.contains("saw"))
    assert shelf.search(Search(where=mixed))["ids"] == [["c", "d", "e", "f"]]


def test_read_levels_and_ties(shelf: Any) -> None:
    for level in ("index_only", "index_and_wal", "index_and_bounded_wal", ReadLevel.INDEX_ONLY):
        assert shelf.search(Search(limit=1), read_level=level)["ids"] == [["a"]]
    with pytest.raises(InvalidArgumentError, match="read_level"):
        shelf.search(Search(), read_level="other")
    same = near([2, 2], 8)
    assert scored(shelf, Search(rank=same.min(1)))[:4] == [("d", 0), ("a", 1), ("b", 1), ("c", 1)]


BAD = [
    (Search(rank=near([0, 0, 0])), "dimension"),
    (Search(rank=Knn([])), "query"),
    (Search(rank=Knn([1e39, 0])), "Infinity"),
    (Search(rank=Knn([float("nan"), 0])), "NaN"),
    (Search(rank=Knn([0, 0], limit=0)), "limit"),
    (Search(rank=Knn([0, 0], limit=-3)), "limit"),
    (Search(rank=Knn([0, 0], default=float("inf"))), "default"),
    (Search(rank=Knn([0, 0], key="other")), "sparse vector"),
    (Search(rank=Knn("text", key="other")), "'other' has no sparse embedding function"),
    (Search(rank=Knn("text")), "embedding function"),
    (Search(rank=Val("x")), "number"),  # type: ignore[arg-type]
    (Search(rank=Val(float("nan"))), "finite"),
    (Search(rank=D).limit(-1), "limit"),
    (Search(rank=D).limit("a"), "limit"),  # type: ignore[arg-type]
    (Search(rank=D).select(3), "select"),  # type: ignore[arg-type]
    (Search(rank=D, group_by=GroupBy("kind", MinK("price", 0))), "k of"),
    (Search(rank=D, group_by=GroupBy(K.SCORE, MinK("price", 1))), "metadata keys"),
    (Search(rank=D, group_by=GroupBy("kind", MinK(K.ID, 1))), "metadata keys"),
    (Search(group_by=GroupBy("kind", MinK("price", 1))), "needs a rank"),
    (Search(where=K.SCORE > 0.5), "#score cannot be filtered"),
    (Search(where=(K("a") == 1) & (K.EMBEDDING == 1)), "#embedding cannot be filtered"),
    (Search(where=K.DOCUMENT == "x"), "document"),
    (Search(where=K("a") > [1]), "a"),
    (Search(where=K.DOCUMENT.regex("(")), "regular expression"),
    (Search(rank=sum([D] * 2, start=Rrf([D], k=0))), "k must be positive in Rrf"),
]


def test_what_is_refused(shelf: Any) -> None:
    for search, text in BAD:
        with pytest.raises((InvalidArgumentError, ChromaError), match=text):
            shelf.search([Search(rank=D), search])


def test_filters_of_numpy_and_beyond_int64(shelf: Any) -> None:
    year = K("year")
    for where in (year == np.int64(2022), year.is_in(np.array([2022, 2023])), year >= np.float64(2021.5)):
        assert shelf.search(Search(where=where))["ids"] == [["e", "g"]]
    for value in (2**64, float("nan"), b"2022"):
        with pytest.raises(InvalidArgumentError, match="year"):
            shelf.search(Search(where=year == value))


def test_deep_and_long_ranks(shelf: Any) -> None:
    deep: Any = D
    for _ in range(30):
        deep = -deep.exp().log()
    assert len(scored(shelf, Search(rank=deep))) == 8
    for _ in range(300):
        deep = deep.abs()
    with pytest.raises(InvalidArgumentError, match="levels deep"):
        shelf.search(Search(rank=deep))
    condition: Any = K("a") == 1
    for _ in range(5000):
        deep, condition = 1 - deep, (condition | (K("b") == 1)) & (K("c") == 1)
    form: Any = {"$val": 1}
    for _ in range(5000):
        form = {"$abs": form}
    with pytest.raises(InvalidArgumentError, match="nested too deeply"):
        Search(rank=form)
    for search in (Search(rank=deep), Search(where=condition)):
        with pytest.raises(InvalidArgumentError, match="nested too deeply"):
            shelf.search(search)
    assert scored(shelf, Search(rank=D2 + True)) == [("a", 1), ("b", 2)]
    many: Any = sum([near([0, 0], 8)] * 300, start=Val(0))
    assert scored(shelf, Search(rank=many))[1] == ("b", 300)


def test_texts_are_embedded_once_for_all_searches(client: Any) -> None:
    calls: list[list[str]] = []

    class Counting:
        def __call__(self, input: list[str]) -> Any:
            calls.append(list(input))
            return [np.array([len(text), 0], np.float32) for text in input]

    things = client.create_collection("things", embedding_function=Counting())
    things.add(ids=["a", "b"], documents=["x", "xxxx"])
    calls.clear()
    one, rank = Search(rank=Knn("xxx")), Knn("xx")
    fused = Search(rank=Rrf([Knn("x", return_rank=True), rank]))
    assert things.search([one, fused])["ids"] == [["b", "a"], ["a", "b"]]
    assert len(calls) == 1 and sorted(calls[0]) == ["x", "xx", "xxx"]
    assert rank.query == "xx"  # the caller's objects stay as they are

    class Own(Rank):
        form: ClassVar[dict[str, Any]] = {"$knn": {"query": "xxx", "key": "#embedding", "limit": 1}}

        def to_dict(self) -> dict[str, Any]:
            return self.form

    assert things.search(Search(rank=Own()))["ids"] == [["b"]]
    assert Own.form["$knn"]["query"] == "xxx"


def test_forms_that_are_nearly_right(shelf: Any) -> None:
    assert scored(shelf, Search(rank=Knn((0, 0), limit=1))) == [("a", 0)]
    assert shelf.search(Search(where=And([K("year") == 2022])))["ids"] == [["e", "g"]]
    with pytest.raises(TypeError, match="list of ranks"):
        Rrf(D).to_dict()  # type: ignore[arg-type]
    for bad in ({"k": "a"}, {"weights": ["a"]}):
        with pytest.raises(TypeError, match="to be numbers"):
            Rrf([D], **bad).to_dict()
