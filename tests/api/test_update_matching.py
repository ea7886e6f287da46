"""Updates of all records that match a filter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma import WriteReport
from chroma.errors import InvalidArgumentError, UnmatchedKeyError


@pytest.fixture
def years(client: Any) -> Any:
    collection = client.create_collection("years", embedding_function=None)
    collection.add(
        ids=["a", "b", "c"],
        embeddings=np.eye(3),
        documents=["old", "old", "new"],
        metadatas=[{"year": 1900}, {"year": 1940, "x": 1}, {"year": 2000}],
    )
    return collection


def test_metadata_of_all_matches_is_merged(years: Any) -> None:
    report = years.update(where={"year": {"$lt": 1950}}, metadatas={"era": "early", "x": None})
    assert report == WriteReport(updated=2)
    assert years.get()["metadatas"] == [
        {"year": 1900, "era": "early"},
        {"year": 1940, "era": "early"},
        {"year": 2000},
    ]


def test_ids_and_texts_restrict_it(years: Any) -> None:
    assert years.update(["b", "c"], where={"year": {"$lt": 1950}}, metadatas={"y": 1}).updated == 1
    assert years.update(where_document={"$contains": "new"}, metadatas={"z": 2}).updated == 1
    assert years.get()["metadatas"] == [
        {"year": 1900},
        {"year": 1940, "x": 1, "y": 1},
        {"year": 2000, "z": 2},
    ]


def test_no_match_is_no_change(years: Any) -> None:
    assert years.update(where={"year": 1}, metadatas={"y": 1}) == WriteReport()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "pass ids, where or where_document"),
        ({"metadatas": {"a": 1}}, "pass ids, where or where_document"),
        ({"metadatas": {"a": 1}, "where": {}}, "an empty filter would change everything"),
        ({"where": {"year": 1}}, "metadatas is one mapping"),
        ({"where": {"year": 1}, "metadatas": [{"a": 1}]}, "metadatas is one mapping"),
        ({"where": {"year": 1}, "metadatas": {"a": 1}, "documents": "x"}, "documents is given"),
        ({"where": {"year": 1}, "metadatas": {"a": object()}}, "metadatas"),
    ],
)
def test_what_cannot_be_an_update(years: Any, arguments: dict[str, Any], message: str) -> None:
    before = years.get()
    with pytest.raises(InvalidArgumentError, match=message):
        years.update(**arguments)
    assert years.get() == before


def test_a_mistyped_key_changes_nothing(years: Any) -> None:
    before = years.get()
    with pytest.raises(UnmatchedKeyError, match="yaer.*missing_ok=True"):
        years.update(where={"yaer": {"$ne": 1}}, metadatas={"y": 1})
    assert years.get() == before
    assert years.update(where={"yaer": {"$ne": 1}}, metadatas={"y": 1}, missing_ok=True).updated == 3


def test_sql_text_is_a_filter(years: Any) -> None:
    assert years.update(where="year between 1930 and 1950", metadatas={"y": 1}).updated == 1
