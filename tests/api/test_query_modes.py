"""`query(mode=…)`: by the words of documents, and by words and vectors together."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import ChromaError, InvalidArgumentError
from chroma.storage.interface.words import Tokenizer

DOCUMENTS = {
    "a": "red apple pie", "b": "green apple", "c": "banana split", "d": "red hammer", "e": "saw",
    "f": None, "g": "apple", "h": "red red apple", "i": "the of",
}  # fmt: skip
QUERIES = ["red apples", "saw", "nothing here", "apple banana saw the hammer"]


class Lengths(chroma.EmbeddingFunction[list[str]]):
    """The number of letters, and of the letter a."""

    def __init__(self) -> None:
        pass

    def __call__(self, input: list[str]) -> Any:
        return [np.array([len(text), text.count("a")], np.float32) for text in input]


def vector(id: str) -> list[float]:
    text = DOCUMENTS[id] or ""
    return [len(text), text.count("a")]


@pytest.fixture
def shelf(client: Any) -> Any:
    collection = client.create_collection("shelf", embedding_function=Lengths())
    for id, text in DOCUMENTS.items():
        documents = None if text is None else [text]
        collection.add(ids=[id], embeddings=[vector(id)], documents=documents, metadatas=[{"n": ord(id)}])
    return collection


# ---------------------------------------------------------------------------- what is right


def bm25(query: str, documents: dict[str, str | None]) -> dict[str, float]:
    """The scores of all documents with a word of the query, by the formula."""
    stems = Tokenizer().stems
    words = {id: stems(text or "") for id, text in documents.items()}
    having = [found for found in words.values() if found]
    mean = sum(map(len, having)) / len(having)
    scores = {}
    asked = stems(query)
    owners = {word: sum(word in other for other in words.values()) for word in asked}
    for id, found in words.items():
        total = 0.0
        for word in sorted(set(asked)):
            times = found.count(word)
            if times:
                idf = math.log(1 + (len(words) - owners[word] + 0.5) / (owners[word] + 0.5))
                total += (
                    asked.count(word) * idf * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * len(found) / mean))
                )
        if not set(asked).isdisjoint(found):
            scores[id] = total
    return scores


def by_words(query: str, documents: dict[str, str | None]) -> list[str]:
    scores = bm25(query, documents)
    return sorted(scores, key=lambda id: (-round(scores[id], 12), list(documents).index(id)))


def by_distance(query: str, documents: dict[str, str | None]) -> list[str]:
    one = Lengths()([query])[0]
    distances = {id: float(((np.array(vector(id)) - one) ** 2).sum()) for id in documents}
    return sorted(distances, key=lambda id: (distances[id], list(documents).index(id)))


def fused(lists: list[list[str]], documents: dict[str, str | None]) -> list[str]:
    scores: dict[str, float] = {}
    for each in lists:
        for place, id in enumerate(each):
            scores[id] = scores.get(id, 0) + 1 / (61 + place)
    return sorted(scores, key=lambda id: (-scores[id], list(documents).index(id)))


def check(collection: Any, documents: dict[str, str | None], **filters: Any) -> None:
    found = collection.query(query_texts=QUERIES, mode="lexical", n_results=3, **filters)
    assert found["distances"] is None and "distances" not in found["included"]
    mixed = collection.query(query_texts=QUERIES, mode="hybrid", n_results=5, **filters)
    for number, query in enumerate(QUERIES):
        lexical, dense = by_words(query, documents), by_distance(query, documents)
        assert found["ids"][number] == lexical[:3]
        scores = bm25(query, documents)
        assert found["lexical_scores"][number] == pytest.approx([scores[id] for id in lexical[:3]])
        assert found["lexical_ranks"][number] == list(range(len(lexical[:3])))
        expected = fused([lexical, dense], documents)[:5]
        assert mixed["ids"][number] == expected
        known = [scores.get(id) for id in expected]
        assert [score is None for score in mixed["lexical_scores"][number]] == [s is None for s in known]
        assert mixed["lexical_ranks"][number] == [
            lexical.index(id) if id in lexical else None for id in expected
        ]
        assert mixed["dense_ranks"][number] == [dense.index(id) for id in expected]
        one = Lengths()([query])[0]
        assert mixed["distances"][number] == [
            float(((np.array(vector(id)) - one) ** 2).sum()) for id in expected
        ]


# ---------------------------------------------------------------------------- tests


def test_they_find_what_the_formulas_say(client: Any, shelf: Any, reopen: Any) -> None:
    check(shelf, DOCUMENTS)
    shelf.compact()
    check(shelf, DOCUMENTS)
    check(reopen(client).get_collection("shelf", embedding_function=Lengths()), DOCUMENTS)


def test_changes_count_at_once(shelf: Any) -> None:
    documents = dict(DOCUMENTS)
    for settle in (False, True):
        shelf.query(query_texts="apple", mode="lexical")
        if settle:
            shelf.compact()
        shelf.delete(ids=["h"])
        documents.pop("h", None)
        shelf.update(ids=["c"], documents=["red saw"], embeddings=[vector("c")])
        documents["c"] = "red saw"
        check(shelf, documents)


def test_filters_come_first_and_rarity_is_that_of_all(shelf: Any) -> None:
    where = {"n": {"$gt": ord("a")}}
    found = shelf.query(query_texts="red apples", mode="lexical", where=where)
    expected = [id for id in by_words("red apples", DOCUMENTS) if id > "a"]
    assert found["ids"] == [expected]
    assert found["lexical_scores"][0] == pytest.approx([bm25("red apples", DOCUMENTS)[id] for id in expected])
    assert shelf.query(query_texts="red apples", mode="lexical", ids=["d", "zz"])["ids"] == [["d"]]
    contained = shelf.query(query_texts="apple", mode="hybrid", where_document={"$contains": "pie"})
    assert contained["ids"] == [["a"]]


def test_candidates(shelf: Any) -> None:
    found = shelf.query(query_texts="red apples", mode="hybrid", n_results=2, candidates=2)
    lists = [by_words("red apples", DOCUMENTS)[:2], by_distance("red apples", DOCUMENTS)[:2]]
    assert found["ids"] == [fused(lists, DOCUMENTS)[:2]]


def test_vectors_may_be_given(shelf: Any) -> None:
    found = shelf.query(query_embeddings=[[3, 1]], query_texts=["red apples"], mode="hybrid", n_results=9)
    lists = [by_words("red apples", DOCUMENTS), by_distance("saw", DOCUMENTS)]
    assert found["ids"] == [fused(lists, DOCUMENTS)]


def test_reranking_and_explaining(shelf: Any) -> None:
    def rerank(text: str, documents: list[str]) -> list[float]:
        return [-len(document) for document in documents]

    found = shelf.query(query_texts="red apples", mode="lexical", n_results=2, rerank=rerank, explain=True)
    assert found["ids"] == [["g", "d"]]
    scores = bm25("red apples", DOCUMENTS)
    assert found["lexical_scores"][0] == pytest.approx([scores["g"], scores["d"]])
    assert [part.name for part in found["explain"].parts]
    found = shelf.query(query_texts="red apples", mode="hybrid", explain=True)
    dense, lexical = ([part for part in found["explain"].parts if part.knn == number] for number in (0, 1))
    assert sum(run.candidates for part in lexical for run in part.runs) == len(
        by_words("red apples", DOCUMENTS)
    )
    assert {run.plan["name"] for part in lexical for run in part.runs} == {"SparseSearch"}
    said = repr(found["explain"]).splitlines()
    assert sum("graph" in line for line in said) == len(dense)


def test_tables_have_the_scores_and_ranks(shelf: Any) -> None:
    pytest.importorskip("pyarrow")
    shelf.update(ids=["a"], metadatas=[{"lexical_rank": "kept"}])
    found = shelf.query(query_texts=QUERIES[:2], mode="hybrid", n_results=3)
    table = found.to_arrow()
    assert table.column_names[:7] == [
        "query", "rank", "id", "distance", "lexical_score", "lexical_rank", "dense_rank",
    ]  # fmt: skip
    for name in ("lexical_score", "lexical_rank", "dense_rank"):
        assert table[name].to_pylist() == [value for part in found[f"{name}s"] for value in part]
    assert "kept" in table["metadata.lexical_rank"].to_pylist()
    assert all(name in found._repr_html_() for name in ("distance", "lexical score", "dense rank"))
    found = shelf.query(query_texts=QUERIES, mode="lexical", n_results=3)
    names = found.to_arrow().column_names
    assert names[:5] == ["query", "rank", "id", "lexical_score", "lexical_rank"]
    assert not {"distance", "dense_rank"} & set(names)
    assert "lexical score" in found._repr_html_() and "dense rank" not in found._repr_html_()


def test_many_documents(client: Any) -> None:
    """Several segments with an index in a file, and a memtable."""
    collection = client.create_collection("many", embedding_function=None)
    documents: dict[str, str | None] = {}
    for start, count in ((0, 5_000), (5_000, 5_000), (10_000, 20)):
        part = {f"{n}": f"word{n % 7} number{n}" + " again" * (n % 3) for n in range(start, start + count)}
        documents |= part
        collection.add(ids=list(part), embeddings=[[0.0, 1.0]] * count, documents=list(part.values()))
    texts = ["number4321 number10001 word3", "again word1"]
    for _ in range(2):
        found = collection.query(query_texts=texts, mode="lexical", n_results=5)
        for number, text in enumerate(texts):
            scores = bm25(text, documents)
            best = sorted(scores, key=lambda id: (-round(scores[id], 12), int(id)))[:5]
            assert found["ids"][number] == best
        collection.compact()


def test_empty_collections(client: Any) -> None:
    collection = client.create_collection("empty", embedding_function=Lengths())
    for mode in ("lexical", "hybrid"):
        found = collection.query(query_texts=["a", "b"], mode=mode)
        assert (found["ids"], found["lexical_scores"]) == ([[], []], [[], []])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"query_texts": "a", "mode": "fuzzy"}, "one of 'dense', 'lexical', 'hybrid', got 'fuzzy'"),
        ({"query_embeddings": [[1, 2]], "mode": "lexical"}, "pass query_texts"),
        ({"query_embeddings": [[1, 2]], "mode": "hybrid"}, "pass query_texts"),
        ({"query_texts": "a", "mode": "hybrid", "max_distance": 1.0}, "max_distance needs mode='dense'"),
        ({"query_texts": "a", "mode": "lexical", "max_distance": 0.0}, "max_distance needs mode='dense'"),
        (
            {"query_texts": "a", "query_embeddings": [[1, 2]], "mode": "lexical"},
            "query_embeddings needs mode=",
        ),
        ({"query_texts": "a", "query_uris": ["u"], "mode": "lexical"}, "query_uris needs mode="),
        ({"query_texts": "a", "mode": "lexical", "exact": True}, "exact needs mode='dense' or 'hybrid'"),
        ({"query_texts": "a", "mode": "lexical", "diversity": 0.5}, "diversity needs mode='dense'"),
        ({"query_texts": "a", "mode": "lexical", "candidates": 50}, "candidates needs mode="),
        ({"query_texts": "a", "mode": "hybrid", "candidates": 3}, "candidates"),
        ({"query_texts": ["a", "b"], "query_embeddings": [[1, 2]], "mode": "hybrid"}, "2"),
        ({"query_texts": [], "mode": "lexical"}, "query_texts"),
        ({"query_texts": [5], "mode": "lexical"}, "query_texts"),
    ],
)
def test_what_is_refused(shelf: Any, arguments: Any, match: str) -> None:
    with pytest.raises(InvalidArgumentError, match=match):
        shelf.query(**arguments)


def test_a_schema_may_switch_words_off(client: Any) -> None:
    from chroma import FtsIndexConfig, Schema

    schema = Schema().delete_index(FtsIndexConfig(), "#document")
    collection = client.create_collection("off", schema=schema, embedding_function=None)
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["text"])
    with pytest.raises(ChromaError, match="full-text index"):
        collection.query(query_texts="text", mode="lexical")
