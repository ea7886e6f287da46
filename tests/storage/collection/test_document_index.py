"""Filters on documents: the same answers with the index and without it, whatever is stored."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.storage.filters import document_index, regex_scan
from chroma.storage.index.ngrams import Ngrams
from chroma.storage.segments.segment import Segment

ROWS = 3000
WORDS = [
    *["a", "an", "the", "of", "in"],
    *(f"wörd{number}" for number in range(400)),
    "日本語",
    "ab.c",
    "%_",
    "line\nbreak",
]
TEXTS = [
    "the ",
    "wörd1",
    "wörd399",
    " wörd17 ",
    "日本",
    "語",
    "rd39",
    "b.c",
    "%",
    "\nb",
    "absent",
    "wörd1 wörd2",
    "a",
]
PATTERNS = [
    "wörd3[0-9]9",
    "(wörd12|日本語) the",
    "the wörd.* an$",
    "^the",
    "(?i)WÖRD17 ",
    r"ab\.c",
    "colou?r",
    "wörd4",
]


@pytest.fixture(autouse=True)
def small_segments_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_index, "LEAST_BYTES", 1)
    monkeypatch.setattr("chroma.storage.collection.record_store.BULK_ROWS", 1000)
    monkeypatch.setattr("chroma.storage.collection.collection.QUIET_SECONDS", 0.0)
    monkeypatch.setattr("chroma.storage.collection.segment_indexes.LOAD_SECONDS", 0.0)
    monkeypatch.setattr("chroma.storage.collection.segment_indexes.BUILD_SECONDS", 0.0)


def written(dice: random.Random) -> str | None:
    return None if dice.random() < 0.03 else " ".join(dice.choices(WORDS, k=dice.randint(1, 25)))


def add(collection: Any, model: dict[str, str | None], dice: random.Random, ids: list[str]) -> None:
    texts = [written(dice) for _ in ids]
    collection.upsert(ids=ids, embeddings=np.ones((len(ids), 2), np.float32), documents=texts)
    model.update(
        {id: text if text is not None else model.get(id) for id, text in zip(ids, texts, strict=True)}
    )


def inner(collection: Any) -> Any:
    collection.count()
    return collection._backend.engine._open[str(collection.id)]


def settled(collection: Any) -> None:
    """Wait for what was begun in the background, and let the next filter be a new one."""
    background = collection._backend.engine.services.background
    for kind in ("compact", "segment-index", "load"):
        for waiting, key in [*background._waiting, *background._running]:
            if waiting == kind and key != "sweep":
                background.wait(waiting, key)
    assert not background.errors
    inner(collection).store.filters.release()


def indexes(collection: Any) -> list[Ngrams | None]:
    """The opened indexes, by view."""
    views = inner(collection).store.snapshot().views
    return [inner(collection).ngrams(view) for view in views if isinstance(view.source, Segment)]


def check(collection: Any, model: dict[str, str | None]) -> None:
    inner(collection).store.filters.release()

    def same(where: dict[str, Any], matches: Any) -> None:
        expected = {id for id, text in model.items() if matches(text)}
        assert set(collection.get(where_document=where, include=[])["ids"]) == expected, where
        assert collection.count(where_document=where) == len(expected)
        ((key, value),) = where.items()
        assert set(collection.get(where={"#document": {key: value}}, include=[])["ids"]) == expected, where

    for text in TEXTS:
        same({"$contains": text}, lambda document, text=text: document is not None and text in document)
        same({"$not_contains": text}, lambda document, text=text: document is None or text not in document)
    for pattern in PATTERNS:
        found = re.compile(pattern)
        same(
            {"$regex": pattern}, lambda document, found=found: document is not None and found.search(document)
        )
        same(
            {"$not_regex": pattern},
            lambda document, found=found: document is None or not found.search(document),
        )


def test_answers_are_those_of_a_scan(tmp_path: Path) -> None:
    dice, model = random.Random(1), dict[str, str | None]()
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("docs", embedding_function=None)
        add(collection, model, dice, [f"i{row}" for row in range(ROWS)])
        check(collection, model)  # perhaps before anything is built
        collection.compact()
        add(collection, model, dice, [f"j{row}" for row in range(1200)])  # a segment of its own
        settled(collection)
        assert len(indexes(collection)) == 2
        add(collection, model, dice, [f"i{row}" for row in range(0, ROWS, 40)])  # updates, in the memtable
        gone = [f"i{row}" for row in range(1, ROWS, 50)]
        collection.delete(ids=gone)
        for id in gone:
            del model[id]
        settled(collection)
        indexes(collection)
        settled(collection)
        assert all(indexes(collection))
        check(collection, model)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("docs", embedding_function=None)
        check(collection, model)  # before and while it is loaded
        settled(collection)
        assert all(indexes(collection))
        check(collection, model)
        collection.compact()
        settled(collection)
        (index,) = indexes(collection)
        assert index is not None
        check(collection, model)


def test_the_index_decides_what_is_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit whose bits are taken away is not looked at: so the index is used, and only where it may be."""
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("docs", embedding_function=None)
        add(collection, {}, random.Random(1), [f"i{row}" for row in range(ROWS)])
        collection.compact()
        settled(collection)
        (index,) = indexes(collection)
        assert index is not None
        opened = inner(collection).indexes._opened
        ((key, found),) = opened.items()
        opened[key] = found._replace(index=index._replace(bits=np.zeros_like(index.bits)))
        assert collection.count(where_document={"$contains": "wörd17 "}) == 0
        assert collection.count(where_document={"$regex": "wörd17 [a-z]"}) == 0
        assert collection.count(where_document={"$contains": "ö"}) > 0  # shorter than a trigram
        assert collection.count(where_document={"$regex": "[0-9]7 [a-z]"}) > 0  # requires no text


def test_documents_of_all_lengths(tmp_path: Path) -> None:
    """One that takes many units, many that share one, and none at all."""
    texts = ["", "x" * 9000 + "needle" + "y" * 9000, *(f"{number}" for number in range(1500)), None, "needle"]
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("docs", embedding_function=None)
        ids = [f"i{row}" for row in range(len(texts))]
        collection.add(ids=ids, embeddings=np.ones((len(ids), 2), np.float32), documents=texts)
        collection.compact()
        settled(collection)
        assert all(indexes(collection))
        for text in ("needle", "xneedley", "1234", "149912", "y" * 40, "x" * 9000 + "needle", "x" * 9001):
            expected = [
                id for id, given in zip(ids, texts, strict=True) if given is not None and text in given
            ]
            assert collection.get(where_document={"$contains": text})["ids"] == expected


def test_collections_without_documents_have_an_empty_index(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("docs", embedding_function=None)
        collection.add(ids=[f"i{row}" for row in range(1500)], embeddings=np.ones((1500, 2), np.float32))
        collection.compact()
        settled(collection)
        assert collection.count(where_document={"$contains": "abc"}) == 0
        assert collection.count(where_document={"$not_contains": "abc"}) == 1500


def test_texts_that_most_documents_have_are_not_looked_for_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a regular expression: looking for them would take as long as the expression itself."""
    looked: list[tuple[int, str]] = []
    real = regex_scan.documents_with

    def counted(documents: Any, text: str, index: Any = None) -> Any:
        looked.append((documents.rows, text))
        return real(documents, text, index)

    monkeypatch.setattr(regex_scan, "documents_with", counted)
    client = chroma.EphemeralClient(private=True)
    collection = client.create_collection("docs", embedding_function=None)
    texts = [f"the common words and {'a rare' if row % 100 == 0 else 'no'} one" for row in range(ROWS)]
    collection.add(ids=[f"i{row}" for row in range(ROWS)], embeddings=np.ones((ROWS, 2)), documents=texts)
    assert collection.count(where_document={"$regex": "common words.*rare on[a-e]"}) == ROWS // 100
    assert [text for rows, text in looked if rows <= 1000 and text.startswith("common")] == ["common words"]
    assert not [text for rows, text in looked if rows == ROWS and text == "common words"]
    assert [text for rows, text in looked if rows == ROWS] == ["rare on"]


def test_small_segments_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document_index, "LEAST_BYTES", 32 << 20)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("docs", embedding_function=None)
        add(collection, {}, random.Random(1), [f"i{row}" for row in range(ROWS)])
        collection.compact()
        assert collection.count(where_document={"$contains": "wörd17"}) > 0
        settled(collection)
        assert not list(tmp_path.rglob("index-*"))


def test_a_schema_without_full_text_has_none(tmp_path: Path) -> None:
    schema = chroma.Schema().delete_index(chroma.FtsIndexConfig(), "#document")
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("docs", embedding_function=None, schema=schema)
        add(collection, {}, random.Random(1), [f"i{row}" for row in range(ROWS)])
        collection.compact()
        settled(collection)
        assert not list(tmp_path.rglob("index-*"))
