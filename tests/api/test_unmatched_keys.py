"""Filters with a key or a type that no record has: warnings on reads, errors on deletes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

import chroma
from chroma.errors import InvalidArgumentError, UnmatchedKeyError, UnmatchedKeyWarning

from ..support.checks import refused

ROWS = [
    {"status": "old", "n_words": 3, "tags": ["x", "y"], "share": 0.5},
    {"status": "new", "n_words": 4, "done": True},
    {"status": "new", "n_words": 5, "ranks": [1, 2]},
]


@pytest.fixture
def words(collection: Any) -> Any:
    collection.add(ids=["a", "b", "c"], embeddings=[[1, 0], [0, 1], [1, 1]], metadatas=ROWS)
    return collection


@contextmanager
def warned(*fragments: str) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    texts = [str(each.message) for each in caught if each.category is UnmatchedKeyWarning]
    assert texts, "no warning"
    for fragment in fragments:
        assert any(fragment in text for text in texts), (fragment, texts)


@contextmanager
def silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


UNMATCHED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"statsu": "old"}, ("no record has the key 'statsu'", "similar", "'status'")),
    ({"statsu": {"$ne": "new"}}, ("'statsu'", "'status'")),
    ({"Status": {"$nin": ["new"]}}, ("'Status'", "'status'")),
    ({"zzz": 1}, ("'zzz'", "the keys are", "'done'", "'n_words'")),
    ({"n_words": "3"}, ("texts", "whole numbers", "without quotes")),
    ({"n_words": {"$ne": "3"}}, ("texts", "whole numbers")),
    ({"status": {"$gt": date(2024, 1, 31)}}, ("none of the texts of 'status' is a date", "2024-01-31T12")),
    ({"status": {"$ne": date(2024, 1, 31)}}, ("none of the texts of 'status' is a date",)),
    ({"n_words": {"$gt": date(2024, 1, 31)}}, ("texts", "whole numbers", "dates are compared with texts")),
    ({"n_words": {"$in": ["3", "4"]}}, ("texts", "whole numbers")),
    ({"n_words": {"$contains": 3}}, ("lists of numbers", "'n_words'", "whole numbers")),
    ({"status": 1}, ("numbers", "texts", "as a text")),
    ({"status": {"$gt": 1}}, ("numbers", "texts")),
    ({"status": {"$contains": "ol"}}, ("lists of texts", "item of a list")),
    ({"status": {"$not_contains": "ol"}}, ("lists of texts", "item of a list")),
    ({"tags": "x"}, ("lists of texts", "$contains")),
    ({"ranks": {"$contains": "1"}}, ("lists of texts", "lists of whole numbers")),
    ({"done": 1}, ("numbers", "booleans", "true or false")),
    ({"n_words": {"$between": [5, 3]}}, ("no value is between", "lower bound first")),
    ({"n_words": {"$not": {"$between": [5, 3]}}}, ("no value is between", "lower bound first")),
    ({"status": {"$between": ["new", "a"]}}, ("no value is between",)),
    ({"n_words": {"$like": "3%"}}, ("patterns are for texts",)),
    ({"statsu": {"$exists": False}}, ("'statsu'", "'status'")),
    ({"$not": {"statsu": "old"}}, ("'statsu'", "'status'")),
    ({"n_words": True}, ("booleans", "whole numbers")),
    ({"$and": [{"status": "old"}, {"$or": [{"n_words": 3}, {"nwords": 4}]}]}, ("'nwords'", "'n_words'")),
]


def test_a_read_warns_and_a_delete_is_refused(words: Any) -> None:
    for where, fragments in UNMATCHED:
        with warned(*fragments):
            words.get(where=where)
        with refused(*fragments, "missing_ok=True", error=UnmatchedKeyError):
            words.delete(where=where)
    assert words.count() == 3
    words.compact()
    for where, fragments in UNMATCHED:
        with warned(*fragments):
            words.count(where=where)


MATCHED: list[dict[str, Any]] = [
    {"status": "never"},
    {"status": {"$exists": False}},
    {"status": {"$like": "x%"}},
    {"status": {"$between": ["x", "x"]}},
    {"n_words": {"$gte": 7, "$lt": 9}},
    {"tags": {"$exists": True}},
    {"status": {"$ne": "new"}},
    {"n_words": 2.5},
    {"n_words": {"$gt": 1e9}},
    {"share": 1},
    {"share": {"$in": [1, 2]}},
    {"tags": {"$contains": "z"}},
    {"ranks": {"$contains": 1.5}},
    {"done": False},
    {"#id": "nobody"},
    {"#document": {"$contains": "nothing"}},
    {"$or": [{"status": "old"}, {"done": True}, {"n_words": {"$gte": 3}}]},
]


def test_values_that_no_record_has_are_no_mistake(words: Any) -> None:
    with silent():
        for where in MATCHED:
            words.get(where=where)
            words.delete(where=where, limit=0)
        words.compact()
        for where in MATCHED:
            words.count(where=where)


READS: list[Callable[[Any, dict[str, Any]], Any]] = [
    lambda c, where: c.get(where=where),
    lambda c, where: c.get(["a", "b"], where, order_by="n_words"),
    lambda c, where: c.count(where=where),
    lambda c, where: c.query(query_embeddings=[[1, 0]], where=where),
    lambda c, where: c.query(query_embeddings=[[1, 0]] * 300, n_results=3, where=where),
    lambda c, where: c.query([[1, 0]], ["x"], where=where, mode="hybrid"),
    lambda c, where: c.query(query_texts=["x"], where=where, mode="lexical"),
    lambda c, where: c.facets("status", where=where),
    lambda c, where: c.search(chroma.Search(where=where)),
    lambda c, where: c.search(chroma.Search(where=where).rank(chroma.Knn([1.0, 0.0]))),
]


def test_each_read_warns(words: Any) -> None:
    for read in READS:
        with warned("'statsu'", "'status'"):
            read(words, {"statsu": "old"})
        with silent():
            read(words, {"status": "old"})


TABLES: list[Callable[[Any, dict[str, Any]], Any]] = [
    lambda c, where: c.to_arrow(where=where),
    lambda c, where: c.to_batches(where=where),
    lambda c, where: c.describe(where=where),
]


def test_each_table_warns(words: Any) -> None:
    pytest.importorskip("pyarrow")
    for read in TABLES:
        with warned("'statsu'", "'status'"):
            read(words, {"statsu": "old"})


def test_other_arguments_that_name_keys(words: Any) -> None:
    with warned("order_by='n_word'", "'n_words'"):
        words.get(order_by="-n_word")
    with warned("keys='colour'", "the keys are"):
        words.facets(["status", "colour"])


def test_a_delete_that_insists(words: Any) -> None:
    with silent():
        assert words.delete(where={"statsu": "old"}, missing_ok=True) == {"deleted": 0}
        assert words.delete(where={"statsu": {"$ne": "new"}}, missing_ok=True) == {"deleted": 3}
    with refused("missing_ok"):
        words.delete(where={"a": 1}, missing_ok=1)


def test_ids_beside_the_filter_change_nothing(words: Any) -> None:
    with refused("'statsu'", error=UnmatchedKeyError):
        words.delete(["a"], {"statsu": {"$ne": "new"}})
    assert words.count() == 3


def test_an_empty_collection_has_no_keys_to_miss(collection: Any) -> None:
    with silent():
        assert collection.get(where={"status": "old"})["ids"] == []
        assert collection.delete(where={"status": {"$ne": "new"}}) == {"deleted": 0}
    collection.add(ids=["a"], embeddings=[[1, 2]])
    with warned("have no metadata"):
        collection.get(where={"status": "old"})


def test_keys_count_from_the_write_that_brings_them_on(words: Any) -> None:
    with warned("'colour'"):
        words.get(where={"colour": "red"})
    words.update(ids=["a"], metadatas=[{"colour": "red"}])
    with silent():
        assert words.get(where={"colour": "red"})["ids"] == ["a"]
    words.update(ids=["a"], metadatas=[{"colour": None}])
    words.compact()
    with warned("'colour'"):
        words.get(where={"colour": "red"})


def test_many_and_long_keys_are_reported_quickly(words: Any) -> None:
    words.update(ids=["a"], metadatas=[{f"key {n}": n for n in range(3000)}])
    begun = time.monotonic()
    where = {"$or": [{f"kee {n}" * (1 + n % 2 * 1000): n} for n in range(3000)]}
    with refused("similar keys are", error=UnmatchedKeyError):
        words.delete(where=where)
    assert time.monotonic() - begun < 10


def test_a_warning_points_at_the_caller(words: Any, client_kind: str) -> None:
    if client_kind == "async":
        pytest.skip("the test's asynchronous client is called from a thread of its own")
    with pytest.warns(UnmatchedKeyWarning) as caught:
        words.get(where={"statsu": "old"})
    assert caught[0].filename == __file__


def test_the_error_is_one_of_the_arguments() -> None:
    assert issubclass(UnmatchedKeyError, InvalidArgumentError) and issubclass(
        UnmatchedKeyWarning, UserWarning
    )


def test_programs_of_chroma_are_not_refused(words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `install_as_chromadb` sets."""
    from chroma.internal import chromadb_name

    monkeypatch.setattr(chromadb_name, "taken", True)
    with warned("'statsu'"):
        assert words.delete(where={"statsu": "old"}) == {"deleted": 0}


@pytest.mark.parametrize(
    ("way", "compacted"), [("rename", False), ("rename", True), ("update", False), ("delete", False)]
)
def test_a_key_that_no_record_has_any_more_is_unmatched(words: Any, way: str, compacted: bool) -> None:
    pytest.importorskip("pyarrow")
    if compacted:
        words.compact()
    words.get(where={"n_words": 3})  # the key is known
    if way == "rename":
        words.rename_key("n_words", "length")
    elif way == "update":
        words.update(words.get()["ids"], metadatas=[{"n_words": None}] * 3)
    else:
        words.upsert("d", embeddings=[1, 0], metadatas={"status": "x"})
        words.delete(["a", "b", "c"])
    count = words.count()
    with warned("no record has the key 'n_words'"):
        assert words.get(where={"n_words": 3})["ids"] == []
    with warned("no record has the key 'n_words'"):
        words.get(order_by="n_words")
    with pytest.raises(UnmatchedKeyError, match="'n_words'"):
        words.delete(where={"n_words": {"$ne": 3}})
    with pytest.raises(UnmatchedKeyError, match="'n_words'"):
        words.update(where={"n_words": {"$ne": 3}}, metadatas={"x": 1})
    assert words.count() == count
    with silent():
        words.upsert("d", embeddings=[1, 0], metadatas={"n_words": 3, "status": "x"})
        assert words.get(where={"n_words": 3})["ids"] == ["d"]
