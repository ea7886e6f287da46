"""Results are dictionaries in every respect, and know the types of their keys."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import orjson
import pytest

import chroma
from chroma.results.types import GetResult, QueryResult

from ...support.checks import fill


@pytest.fixture
def results(collection: Any) -> tuple[Any, Any]:
    fill(collection, 3)
    return collection.get(), collection.query(query_embeddings=[[0, 0]])


def test_what_get_and_query_return(results: tuple[Any, Any]) -> None:
    got, found = results
    assert type(got) is chroma.GetResult is GetResult
    assert type(found) is chroma.QueryResult is QueryResult


@pytest.mark.parametrize("kind", [GetResult, QueryResult])
def test_they_are_dictionaries(kind: Any) -> None:
    plain = {"ids": ["a"], "documents": None}
    result = kind(plain)
    assert result == plain == dict(result)
    assert kind(**plain) == plain
    assert repr(result) == repr(plain)
    assert json.loads(json.dumps(result)) == plain
    assert orjson.loads(orjson.dumps(result)) == plain
    assert {**result} == plain
    for twin in (copy.copy(result), copy.deepcopy(result), result.copy(), pickle.loads(pickle.dumps(result))):
        assert type(twin) is kind
        assert twin == plain
        assert twin is not result
    assert result.copy()["ids"] is result["ids"]
