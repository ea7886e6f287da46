"""Filters that Chroma does not have: operators, texts in order, lists, two bounds, SQL conditions."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pytest

from chroma import K, Search
from chroma.search.conditions import Where

from ..support.checks import refused

ROWS: dict[str, dict[str, Any] | None] = {
    "run": {"pos": "verb", "n": 3, "word": "run", "seen": "2024-01-31"},
    "walk": {"pos": "verb", "n": 8, "word": "Walk", "seen": "2024-02-01T12:00:00Z"},
    "cat": {"pos": "noun", "n": 2.5, "word": "cat", "tags": ["pet", "small"], "done": True},
    "half": {"pos": "noun", "n": 12, "word": "50% off", "seen": "2025-01-01", "done": False},
    "über": {"pos": "adverb", "n": "many", "word": "über_all\nx"},
    "bare": None,
    "other": {"else": 1},
}
DOCUMENTS = ["to run", "to walk", "a small cat", None, "50% more", "A CAT", ""]


@pytest.fixture
def words(collection: Any) -> Any:
    collection.add(
        ids=[*ROWS],
        embeddings=[[float(n), 1.0] for n in range(len(ROWS))],
        metadatas=[*ROWS.values()],
        documents=DOCUMENTS,
    )
    return collection


def others(*ids: str) -> list[str]:
    return [id for id in ROWS if id not in ids]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({"$not": {"pos": "verb"}}, others("run", "walk")),
    ({"$not": {"$and": [{"pos": "verb"}, {"n": 3}]}}, others("run")),
    ({"$not": {"$not": {"n": 3}}}, ["run"]),
    ({"n": {"$not": {"$gt": 3}}}, others("walk", "half")),
    ({"n": {"$not": {"$gte": 3, "$lt": 10}}}, others("run", "walk")),
    ({"tags": {"$exists": True}}, ["cat"]),
    ({"pos": {"$exists": False}}, ["bare", "other"]),
    ({"n": {"$between": [2.5, 8]}}, ["run", "walk", "cat"]),
    ({"word": {"$between": ["a", "run"]}}, ["run", "cat"]),
    ({"seen": {"$between": [dt.date(2024, 1, 31), dt.datetime(2024, 2, 1, 12)]}}, ["run", "walk"]),
    ({"n": {"$between": [8, 3]}}, []),
    ({"n": {"$gte": 3, "$lt": 8}}, ["run"]),
    ({"n": {"$gt": 2, "$ne": 8, "$exists": True}}, ["run", "cat", "half"]),
    ({"seen": {"$gte": dt.date(2024, 2, 1), "$lt": dt.date(2025, 1, 1)}}, ["walk"]),
    ({"word": {"$like": "%al%"}}, ["walk", "über"]),
    ({"word": {"$like": "w%"}}, []),
    ({"word": {"$ilike": "W_LK"}}, ["walk"]),
    ({"word": {"$ilike": "ÜBER%"}}, ["über"]),
    ({"word": {"$like": "50\\% off"}}, ["half"]),
    ({"word": {"$like": "%l_nx"}}, []),
    ({"word": {"$like": "%l_x"}}, ["über"]),
    ({"word": {"$like": "_at"}}, ["cat"]),
    ({"word": {"$regex": "^[rc].."}}, ["run", "cat"]),
    ({"word": {"$not_regex": "a"}}, ["run", "half", "bare", "other"]),
    ({"word": {"$gt": "cat"}}, ["run", "über"]),
    ({"word": {"$lte": "Walk"}}, ["walk", "half"]),
    ({"seen": {"$gte": "2024-02", "$lt": "2025"}}, ["walk"]),
    ({"n": {"$gt": "a"}}, ["über"]),
    ({"pos": ["verb", "adverb"]}, ["run", "walk", "über"]),
    ({"n": [3, 8]}, ["run", "walk"]),
    ({"n": {"$in": (3, 12)}}, ["run", "half"]),
    ({"seen": [dt.date(2024, 1, 31)]}, ["run"]),
    ({"#id": ["run", "nobody"]}, ["run"]),
    ({"#document": {"$like": "to %"}}, ["run", "walk"]),
    ({"#document": {"$ilike": "%cat"}}, ["cat", "bare"]),
    ({"#document": {"$exists": True}}, others("half")),
    ({"#document": {"$not": {"$contains": "to"}}}, others("run", "walk")),
    ({"$and": [{"word": {"$like": "%u%"}}, {"$not": {"n": {"$exists": False}}}]}, ["run"]),
]


def test_filters(words: Any) -> None:
    for part in range(2):
        if part:
            words.compact()
        for where, expected in FILTERS:
            assert words.get(where=where)["ids"] == expected, where
            assert words.count(where=where) == len(expected), where
    found = words.query(query_embeddings=[[0, 0]], n_results=9, where={"n": {"$between": [3, 12]}})
    assert sorted(found["ids"][0]) == ["half", "run", "walk"]
    assert words.delete(where={"n": {"$gte": 3, "$lt": 8}}) == {"deleted": 1}


def test_searches_take_them(words: Any) -> None:
    conditions: list[tuple[Any, list[str]]] = [
        (K("n").between(3, 8), ["run", "walk"]),
        (K("word").like("%al%"), ["walk", "über"]),
        (K("word").ilike("CAT"), ["cat"]),
        (K("tags").exists(), ["cat"]),
        (K("pos").exists(False), ["bare", "other"]),
        (K("word").regex("^c"), ["cat"]),
        (~(K("pos") == "verb") & (K("n") > 3), ["half"]),
        (~~(K("n") == 3), ["run"]),
        ((K("word") > "cat") | (K("n") == 12), ["run", "half", "über"]),
        ("pos = 'verb' and n >= 8", ["walk"]),
        *FILTERS,
    ]
    found = words.search([Search(where=where) for where, _ in conditions])
    for (where, expected), ids in zip(conditions, found["ids"], strict=True):
        assert ids == expected, where


def test_conditions_are_read_from_their_dictionaries() -> None:
    for where, _ in FILTERS:
        assert Where.from_dict(Where.from_dict(where).to_dict()) == Where.from_dict(where), where
    assert Where.from_dict({"n": {"$gte": 3, "$lt": 8}}) == (K("n") >= 3) & (K("n") < 8)
    assert Where.from_dict({"n": [1, 2]}) == K("n").is_in([1, 2])
    assert Where.from_dict({"$not": {"n": 1}}) == ~(K("n") == 1)


def test_documents_are_filtered_with_them(words: Any) -> None:
    for where, expected in (
        ({"$not": {"$contains": "to"}}, others("run", "walk")),
        ({"$like": "to ___"}, ["run"]),
        ({"$ilike": "%CAT%"}, ["cat", "bare"]),
        ({"$like": "50\\%%"}, ["über"]),
    ):
        assert words.get(where_document=where)["ids"] == expected, where


# ---------------------------------------------------------------------------- SQL

CONDITIONS: list[tuple[str, list[str]]] = [
    ("pos <> 'verb'", ["cat", "half", "über"]),
    ("not (pos = 'verb' or word like 'c%')", ["half", "über"]),
    ("not (pos = 'verb' and word = 'run')", ["walk", "cat", "half", "über"]),
    ("pos in ('verb', 'adverb') and word not in ('run')", ["walk", "über"]),
    ("word like '%al%' or word ilike 'CAT'", ["walk", "cat", "über"]),
    ("word not like '%a%'", ["run", "half"]),
    ("word like '50!% %' escape '!'", ["half"]),
    ("word not between 'a' and 's'", ["walk", "half", "über"]),
    ("pos is null", ["bare", "other"]),
    ("seen is not null and seen < '2024-02'", ["run"]),
    ("done", ["cat"]),
    ("not done", ["half"]),
    ("done = false", ["half"]),
    ("id in ('run', 'bare')", ["run", "bare"]),
    ("id <> 'run' and pos = 'verb'", ["walk"]),
    ("document = '50% more'", ["über"]),
    ("document <> 'to run' and document like 'to%'", ["walk"]),
    ("document is null", ["half"]),
    ("contains(document, 'small')", ["cat"]),
    ("not contains(document, 'to')", ["cat", "über", "bare", "other"]),
    ("regexp_matches(word, '^[rc]')", ["run", "cat"]),
    ("starts_with(word, '50%') or ends_with(word, 'un')", ["run", "half"]),
    ("contains(word, '_')", ["über"]),
    ("list_contains(tags, 'pet')", ["cat"]),
    ('"else" = 1', ["other"]),
    ("'cat' < word", ["run", "über"]),
    ("word = 'it''s'", []),
    ("not not (((pos = 'verb')))", ["run", "walk"]),
]
# of a key with several types, which in SQL are several columns, and dates, which in SQL are texts
ONLY_HERE: list[tuple[str, list[str]]] = [
    ("pos = 'verb' AND NOT n = 3", ["walk"]),
    ("pos = 'verb' and n between 3 and 7", ["run"]),
    ("n > 3", ["walk", "half"]),
    ("n <= 2.5", ["cat"]),
    ("not n > 3", ["run", "cat"]),
    ("3 = n", ["run"]),
    ("n < -1e3", []),
    ("seen >= date '2024-02-01'", ["walk", "half"]),
    ("seen between timestamp '2024-02-01 12:00:00' and date '2024-12-31'", ["walk"]),
]


def test_sql_conditions(words: Any) -> None:
    for where, expected in CONDITIONS + ONLY_HERE:
        assert words.get(where=where)["ids"] == expected, where
        assert where == "done" or words.count(where) == len(expected), where
    found = words.query(query_embeddings=[[0, 0]], where="pos = 'verb'")
    assert sorted(found["ids"][0]) == ["run", "walk"]
    assert words.delete(where="pos = 'verb' and word like 'r%'") == {"deleted": 1}


def test_sql_conditions_mean_what_they_mean_in_sql(words: Any, client_kind: str) -> None:
    pytest.importorskip("pyarrow")
    if client_kind not in ("ephemeral", "persistent"):
        pytest.skip("the statement is the same over HTTP, in a process of its own")
    for where, expected in CONDITIONS:
        table = words.sql(f"select id from records where {where}")
        assert sorted(table["id"].to_pylist()) == sorted(expected), where
    assert sorted(words.to_arrow(where="pos = 'verb'")["id"].to_pylist()) == ["run", "walk"]


WRONG = [
    ("", "empty"),
    ("pos = verb", "single quotes"),
    ('pos = "verb"', "single quotes"),
    ("pos = 'verb", "character 7"),
    ("pos = 'a'; select 1", "character 10"),
    ("pos = 'a' -- all", "character 11"),
    ("pos = null", "IS NULL"),
    ("pos 'verb'", "comparison"),
    ("pos = 'a' pos = 'b'", "AND or OR"),
    ("n in ()", "a value"),
    ("n between 3", "AND"),
    ("(n = 3", "expected )"),
    ("n + 1 = 4", "comparison"),
    ("1 = 1", "a key"),
    ("length(pos) = 3", "length"),
    ("uri = 'x'", "uri"),
    ("pos like 3", "single quotes"),
    ("id is null", "id"),
    ("(" * 200 + "n = 1" + ")" * 200, "nested"),
    ("not " * 200 + "n = 1", "nested"),
    ("n = 9223372036854775808", "9223372036854775808"),
    (f"n = {'9' * 5000}", "this number has 5,000 digits"),
    ("seen > date 'soon'", "soon"),
]


def test_what_is_no_condition_is_refused(words: Any) -> None:
    for where, fragment in WRONG:
        for call in (words.get, words.count, words.delete):
            with refused(fragment):
                call(where=where)
    with refused("where_document"):
        words.get(where_document="pos = 'verb'")
    with refused("where_document"):
        words.delete(where_document="pos = 'verb'")
    assert words.count() == len(ROWS)


def test_read_levels_are_no_conditions(words: Any) -> None:
    assert words.count("index_and_wal") == words.count("index_only") == len(ROWS)
    assert words.count("done = true") == 1
    with refused("read_level", "index_onyl"):
        words.count("index_onyl")


def test_numpy_values_and_tuples(words: Any) -> None:
    assert words.get(where={"n": {"$between": (np.int64(3), np.float32(8))}})["ids"] == ["run", "walk"]
    assert words.get(where={"n": {"$gte": np.int64(8), "$lt": np.int64(9)}})["ids"] == ["walk"]
