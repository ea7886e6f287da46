"""How indexes are looked up in the JSON form of a schema."""

from __future__ import annotations

from typing import Any

import pytest

from chroma.storage.interface.schema import (
    ValueType,
    full_text_off,
    is_off,
    misfit,
    sparse_index,
    sparse_keys,
    switches_off,
)

ON: dict[str, Any] = {"enabled": True, "config": {}}
OFF: dict[str, Any] = {"enabled": False, "config": {}}


def schema(defaults: Any = None, **keys: Any) -> dict[str, Any]:
    return {"defaults": defaults or {}, "keys": keys}


def texts(index: dict[str, Any]) -> dict[str, Any]:
    return {"string": {"string_inverted_index": index}}


def sparse(enabled: bool = True, **config: Any) -> dict[str, Any]:
    return {"sparse_vector": {"sparse_vector_index": {"enabled": enabled, "config": config}}}


def test_a_key_counts_before_the_defaults() -> None:
    found = schema(texts(OFF), a=texts(ON), b={"int": {"int_inverted_index": OFF}})
    kinds: list[tuple[str, ValueType, bool]] = [
        ("a", "string", False),
        ("b", "string", True),
        ("c", "string", True),
        ("b", "int", True),
        ("c", "int", False),
        ("b", "float", False),
    ]
    for key, kind, off in kinds:
        assert is_off(found, key, kind) is off, (key, kind)
    assert switches_off(found)


def test_nothing_is_off_without_a_schema() -> None:
    for found in (None, schema(), schema(texts(ON), a=texts(ON))):
        assert not is_off(found, "a", "string")
        assert not full_text_off(found)
        assert not switches_off(found)
        assert sparse_index(found, "a") == (False, False)
        assert sparse_keys(found) == {}


def test_the_usual_entry_of_documents_switches_nothing_off() -> None:
    usual = {"string": {"fts_index": ON, "string_inverted_index": OFF}}
    assert not switches_off({"defaults": {"string": {"fts_index": OFF}}, "keys": {"#document": usual}})
    without = {"string": {"fts_index": OFF, "string_inverted_index": OFF}}
    assert switches_off({"defaults": {}, "keys": {"#document": without}})


def test_sparse_indexes() -> None:
    found = schema(None, a=sparse(bm25=True), b=sparse(), c=sparse(enabled=False, bm25=True), d=texts(ON))
    assert [sparse_index(found, key) for key in "abcde"] == [
        (True, True), (True, False), (False, False), (False, False), (False, False)
    ]  # fmt: skip
    assert sparse_keys(found) == {"a": {"bm25": True}, "b": {}}


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"defaults": {}},
        {"keys": {}},
        {"defaults": [], "keys": {}},
        {"defaults": {}, "keys": None},
        schema(None, a=3),
        schema({"string": []}),
        schema(texts({"enabled": 1, "config": {}})),
        schema(texts({"enabled": True})),
        schema(texts({"config": {}})),
        schema(None, a=texts([])),  # type: ignore[arg-type]
    ],
)
def test_other_shapes_are_told(value: Any) -> None:
    assert misfit(value) is not None


def test_unknown_types_and_indexes_are_no_misfit() -> None:
    assert misfit(schema({"other": 3, "string": {"other": 4}, "int": None}, a={"other": {}})) is None
