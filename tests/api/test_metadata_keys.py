"""Metadata keys that are computed, renamed and dropped in many records."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma import WriteReport
from chroma.errors import InvalidArgumentError


@pytest.fixture
def years(client: Any) -> Any:
    pytest.importorskip("pyarrow")
    collection = client.create_collection("years", embedding_function=None)
    collection.add(
        ids=["a", "b", "c"],
        embeddings=np.eye(3),
        documents=["one", "three", "four"],
        metadatas=[{"year": 1901, 'od"d': 1}, {"year": 1940, "x": 1}, {"t": "q"}],
    )
    return collection


def test_expressions(years: Any) -> None:
    report = years.update_columns(
        {
            "decade": "year // 10 * 10",
            "half": "0.5 * year",
            "size": "length(document) -- letters",
            "x": "null",
        }
    )
    assert report == WriteReport(updated=3)
    assert years.get()["metadatas"] == [
        {"year": 1901, 'od"d': 1, "decade": 1900, "half": 950.5, "size": 3},
        {"year": 1940, "decade": 1940, "half": 970.0, "size": 5},
        {"t": "q", "size": 4},
    ]


def test_expressions_of_some_records(years: Any) -> None:
    assert years.update_columns({"late": "year > 1920"}, where={"year": {"$gt": 1}}).updated == 2
    assert years.update_columns({"n": "1"}, where_document={"$contains": "four"}).updated == 1
    assert years.update_columns({"n": "2"}, where={"year": 5}).updated == 0
    assert years.get()["metadatas"] == [
        {"year": 1901, 'od"d': 1, "late": False},
        {"year": 1940, "x": 1, "late": True},
        {"t": "q", "n": 1},
    ]


def test_many_records_are_written_in_steps(years: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("_sync", "_async"):
        monkeypatch.setattr(f"chroma.{module}.collection_keys._STEP", 2)
    assert years.update_columns({"n": "1"}).updated == 3
    assert years.rename_key("n", "m").updated == 3
    assert years.drop_key("m").updated == 3


@pytest.mark.parametrize(
    ("expressions", "message"),
    [
        ({}, "a mapping of metadata keys"),
        ("year * 2", "a mapping of metadata keys"),
        ({"a": ""}, "expressions"),
        ({"a": 3}, "expressions"),
        ({"": "1"}, "key"),
        ({"a": "nothing + 1"}, "nothing"),
        ({"a": "1); select (2"}, "."),
        ({"a": "1 / 0.0"}, "inf"),
        ({"a": "unnest([1, 2])"}, "6 rows for 3 records"),
        ({"a": "1) as b, (2"}, "1 expressions give 2 columns"),
    ],
)
def test_what_cannot_be_computed_changes_nothing(years: Any, expressions: Any, message: str) -> None:
    before = years.get()
    with pytest.raises(InvalidArgumentError, match=message):
        years.update_columns(expressions)
    assert years.get() == before


def test_renamed_keys_keep_their_values(years: Any) -> None:
    years.update(ids=["c"], metadatas=[{"year": "unknown"}])  # a key with two types
    assert years.rename_key("year", "when") == WriteReport(updated=3)
    assert years.get()["metadatas"] == [
        {'od"d': 1, "when": 1901},
        {"x": 1, "when": 1940},
        {"t": "q", "when": "unknown"},
    ]
    assert years.rename_key('od"d', "odd").updated == 1
    assert years.get(ids=["a"])["metadatas"] == [{"when": 1901, "odd": 1}]


def test_a_name_that_is_taken(years: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="1 records with the key 'year' have the key 'x', too"):
        years.rename_key("year", "x")
    assert years.get()["metadatas"][1] == {"year": 1940, "x": 1}
    assert years.rename_key("year", "x", overwrite=True).updated == 2
    assert years.get()["metadatas"] == [{'od"d': 1, "x": 1901}, {"x": 1940}, {"t": "q"}]


def test_dropped_keys(years: Any) -> None:
    assert years.drop_key("year").updated == 2
    assert years.get()["metadatas"] == [{'od"d': 1}, {"x": 1}, {"t": "q"}]


@pytest.mark.parametrize("name", ["rename_key", "drop_key"])
def test_an_unknown_key(years: Any, name: str) -> None:
    arguments = ("yaer", "y") if name == "rename_key" else ("yaer",)
    with pytest.raises(InvalidArgumentError, match="no record has the metadata key 'yaer'"):
        getattr(years, name)(*arguments)


@pytest.mark.parametrize("column", ["id", "document", "uri", "embedding"])
def test_columns_of_records_are_no_keys_to_compute(years: Any, column: str) -> None:
    before = years.get()
    with pytest.raises(InvalidArgumentError, match=f"'{column}' names a column.*give the key another name"):
        years.update_columns({"z": "1", column: "'x'"})
    assert years.get() == before


@pytest.mark.parametrize("text", ["year +", "yaer + 1", "lenght(document)", "sum(year)", "1; select 2"])
def test_an_expression_that_sql_refuses_is_shown(years: Any, text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        years.update_columns({"z": text})
    message = str(caught.value)
    assert message.startswith("update_columns: expressions={'z': ") and text in message
    assert "collection.columns lists them" in message


def test_a_key_renamed_to_itself_keeps_its_values(years: Any) -> None:
    before = years.get()
    for overwrite in (False, True):
        with pytest.raises(InvalidArgumentError, match="rename_key: key and new are the same name, 'year'"):
            years.rename_key("year", "year", overwrite=overwrite)
    assert years.get() == before


def test_keys_that_differ_only_in_case(years: Any) -> None:
    """SQL does not tell them apart, so this is how one of them gets another name."""
    years.update_columns({"Year": "2"}, where="year > 1920")
    assert years.rename_key("Year", "other").updated == 1
    assert years.sql("select year, other from records where other is not null").to_pylist() == [
        {"year": 1940, "other": 2}
    ]


def test_an_unknown_key_has_a_nearest_name(years: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="drop_key: .*'yaer'; the nearest is 'year'"):
        years.drop_key("yaer")
    with pytest.raises(InvalidArgumentError, match="rename_key: .*'yaer'; the nearest is 'year'"):
        years.rename_key("yaer", "z")
