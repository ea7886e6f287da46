"""The keys that records have: metadata that no writer accepts is damage."""

from types import SimpleNamespace
from typing import Any

import pytest

from chroma.storage.collection.found_keys import FoundKeys
from chroma.storage.interface.errors import Corruption


def snapshot(*texts: str) -> Any:
    """A snapshot of one memtable whose records have these texts as metadata."""
    source = SimpleNamespace(name="log-1", metadata=lambda start, stop: texts[start:stop])
    return SimpleNamespace(views=[SimpleNamespace(source=source, rows=len(texts))])


def test_lists_count_as_their_items() -> None:
    assert FoundKeys().among(snapshot('{"a":1}', '{"b":["x"],"a":2.5}')) == [
        ("a", "float"),
        ("a", "int"),
        ("b", "string"),
    ]


@pytest.mark.parametrize("value", ["null", "[]", "[[1]]", '{"c":1}'])
def test_values_of_no_known_type_are_damage(value: str) -> None:
    with pytest.raises(Corruption, match="'key' has a value of no known type"):
        FoundKeys().among(snapshot(f'{{"key":{value}}}'))
