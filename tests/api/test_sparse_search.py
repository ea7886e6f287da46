"""Searches by sparse vectors: the contract's worked examples, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from chroma import K, Knn, Rrf, Schema, Search, SparseVector, SparseVectorIndexConfig
from chroma.errors import InvalidArgumentError

SHELF: list[tuple[str, list[float], SparseVector | None]] = [
    ("a", [0, 0], SparseVector([1, 2], [1, 2])),
    ("b", [1, 0], SparseVector([1], [2])),
    ("c", [0, 2], SparseVector([3], [1])),
    ("d", [2, 2], SparseVector([2, 4], [1, 0.5])),
    ("e", [3, 0], None),
    ("f", [0, 4], SparseVector([1, 3, 4], [0.5, 2, 1])),
    ("g", [1, 1], SparseVector([], [])),
    ("h", [4, 4], None),
]
QUERY = SparseVector([1, 2], [1, 0.5])


def made(client: Any, **index: Any) -> Any:
    schema = Schema().create_index(SparseVectorIndexConfig(**index), key="sp")
    collection = client.create_collection("shelf", schema=schema, embedding_function=None)
    for id, vector, sparse in SHELF:
        metadata = {"n": ord(id)} | ({} if sparse is None else {"sp": sparse})
        collection.add(ids=[id], embeddings=[vector], metadatas=[metadata])
    return collection


@pytest.fixture
def shelf(client: Any) -> Any:
    return made(client)


def S(**options: Any) -> Knn:
    return Knn(QUERY, key="sp", **({"limit": 8} | options))


def D(**options: Any) -> Knn:
    return Knn([0.0, 0.0], **({"limit": 8} | options))


EXAMPLES = [
    (S(), "a −1, b −1, d 0.5, f 0.5"),
    (S(limit=3), "a −1, b −1, d 0.5"),
    (D() + S(), "a −1, b 0, d 8.5, f 16.5"),
    (D() + S(default=1), "a −1, b 0, g 3, c 5, d 8.5, e 10, f 16.5, h 33"),
    (
        Rrf([D(return_rank=True, default=100), S(return_rank=True, default=100)]),
        "a −0.033333, b −0.032787, d −0.031754, f −0.031025, g −0.022379, c −0.022123, e −0.021635, "
        "h −0.021175",
    ),
    (Knn(SparseVector([3], [1]), key="sp"), "f −1, c 0"),
    (Knn(SparseVector([9], [1]), key="sp"), ""),
    (Knn(SparseVector([], []), key="sp"), ""),
]


def said(answer: str) -> list[tuple[str, float]]:
    pairs = [part.split() for part in answer.replace("−", "-").split(", ") if part]
    return [(id, float(score)) for id, score in pairs]


def check(collection: Any) -> None:
    found = collection.search([Search().rank(rank).select(K.SCORE) for rank, _ in EXAMPLES])
    for number, (_, answer) in enumerate(EXAMPLES):
        expected = said(answer)
        assert found["ids"][number] == [id for id, _ in expected]
        assert found["scores"][number] == pytest.approx([score for _, score in expected], abs=1e-6)


def test_worked_examples(client: Any, shelf: Any, reopen: Any) -> None:
    check(shelf)
    shelf.compact()
    check(shelf)
    check(reopen(client).get_collection("shelf"))


def test_updates_and_deletes_count_at_once(shelf: Any) -> None:
    shelf.compact()

    def ids() -> list[str]:
        return list(shelf.search(Search().rank(S()))["ids"][0])

    shelf.update(ids=["c"], metadatas=[{"sp": SparseVector([1], [9])}])
    assert ids() == ["c", "a", "b", "d", "f"]
    shelf.delete(ids=["b"])
    shelf.update(ids=["a"], metadatas=[{"sp": None}])
    shelf.update(ids=["d"], metadatas=[{"sp": 5}])
    assert ids() == ["c", "f"]
    shelf.compact()
    assert ids() == ["c", "f"]


def test_filters_come_first(shelf: Any) -> None:
    search = Search().where(K("n") > ord("b")).rank(S(limit=1)).select(K.SCORE)
    assert shelf.search(search)["ids"] == [["d"]]


def test_rarity(client: Any) -> None:
    """With `bm25`, each component of the query is multiplied by its idf among all records."""
    collection = made(client, bm25=True)
    found = collection.search(Search().where(K("n") > ord("a")).rank(S()).select(K.SCORE))
    # of 8 records, 3 have index 1 and 2 have index 2
    one, two = 0.9444616, 1.280934
    assert found["ids"] == [["b", "d", "f"]]
    assert found["scores"][0] == pytest.approx([1 - 2 * one, 1 - 0.5 * two, 1 - 0.5 * one], abs=1e-6)


def test_sparse_vectors_come_back(shelf: Any) -> None:
    found = shelf.search(Search().rank(S(limit=1)).select("sp"))
    assert found["metadatas"] == [[{"sp": SparseVector([1, 2], [1, 2])}]]
    found = shelf.search(Search().rank(S(limit=1)).select(K.METADATA))
    assert found.rows()[0][0]["metadata"] == {"n": ord("a"), "sp": SparseVector([1, 2], [1, 2])}


@pytest.mark.parametrize("key", ["other", "#embedding", "n"])
def test_a_key_without_a_sparse_index_is_refused(shelf: Any, key: str) -> None:
    match = f"metadata key '{key}' with type 'SparseVector' because indexing is disabled"
    for search in (Search().rank(Knn(QUERY, key=key)), Search().rank(D() + Knn(QUERY, key=key))):
        with pytest.raises(InvalidArgumentError, match=match):
            shelf.search([Search(), search])


def test_a_dense_query_of_a_sparse_key_is_refused(shelf: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="sparse vector"):
        shelf.search(Search().rank(Knn([1.0, 2.0], key="sp")))


def test_large_collections(client: Any) -> None:
    """Several segments and a memtable, each with many records."""
    schema = Schema().create_index(SparseVectorIndexConfig(bm25=True), key="sp")
    collection = client.create_collection("many", schema=schema, embedding_function=None)
    for start in (0, 5_000, 10_000):
        count = 5_000 if start < 10_000 else 50
        numbers = range(start, start + count)
        collection.add(
            ids=[str(number) for number in numbers],
            embeddings=[[0.0, 1.0]] * count,
            metadatas=[{"sp": SparseVector([number % 7, 10 + number], [1.0, 1.0])} for number in numbers],
        )
    rare = Knn(SparseVector([3, 10 + 4_321, 10 + 10_040], [1.0, 1.0, 1.0]), key="sp", limit=4)
    assert collection.search(Search().rank(rare))["ids"] == [["4321", "10040", "3", "10"]]


@pytest.mark.parametrize("settled", [False, True])
def test_groups_by_vectors(client: Any, settled: bool) -> None:
    """Equal vectors are one group. In the order of values, vectors are behind texts and equal."""
    shelf = made(client)
    shelf.add(ids=["i"], embeddings=[[5, 5]], metadatas=[{"sp": SparseVector([1], [2])}])
    if settled:
        shelf.compact()
    grouped = {"keys": ["sp"], "aggregate": {"$min_k": {"keys": ["#score"], "k": 1}}}
    found = shelf.search(Search(rank=D(limit=9), group_by=grouped))
    assert found["ids"] == [list("abgcdef")]
    shelf.update(ids=["h"], metadatas=[{"sp": "text"}])
    for operator, k, expected in (("$max_k", 2, "ab"), ("$min_k", 2, "eh"), ("$min_k", 3, "aeh")):
        grouped = {"keys": ["none"], "aggregate": {operator: {"keys": ["sp"], "k": k}}}
        assert shelf.search(Search(rank=D(limit=9), group_by=grouped))["ids"] == [list(expected)]
