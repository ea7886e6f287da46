"""The keys that records have: metadata that no writer accepts is damage."""

from types import SimpleNamespace
from typing import Any

import pytest

from chroma.storage.collection.found_keys import FoundKeys
from chroma.storage.filters.parser import Exists, parse_where
from chroma.storage.filters.unmatched import covered
from chroma.storage.interface.errors import Corruption


def snapshot(*texts: str) -> Any:
    """A snapshot of one memtable whose records have these texts as metadata."""
    source = SimpleNamespace(name="log-1", metadata=lambda start, stop: texts[start:stop])
    return SimpleNamespace(views=[SimpleNamespace(source=source, rows=len(texts), deleted_rows=0)])


def test_lists_count_as_their_items() -> None:
    assert FoundKeys().among(snapshot('{"a":1}', '{"b":["x"],"a":2.5}')) == [
        ("a", "float"),
        ("a", "int"),
        ("b", "string"),
    ]


def test_a_filter_is_looked_at_without_the_records_once_its_keys_are_known() -> None:
    keys, seen = FoundKeys(), []
    texts = ['{"a":1}', '{"a":2,"b":["x"]}']

    def metadata(start: int, stop: int) -> list[str]:
        seen.append((start, stop))
        return texts[start:stop]

    source = SimpleNamespace(name="log-1", metadata=metadata)
    view = SimpleNamespace(source=source, rows=1, deleted_rows=0)
    one: Any = SimpleNamespace(views=[view])
    fits = parse_where({"$or": [{"a": {"$gt": 2.5}}, {"$not": {"a": 1}}]})
    assert not covered(fits, keys.known) and keys.covers(fits, one, bool) and covered(fits, keys.known)
    for misfit in ({"a": "1"}, {"b": {"$contains": "x"}}, {"a": {"$exists": True}, "c": 1}):
        for key, condition in misfit.items():
            assert keys.covers(parse_where({key: condition}), one, bool) is (condition == {"$exists": True})
    assert seen == [(0, 1)]
    view.rows = 2
    assert keys.covers(parse_where({"b": {"$contains": "x"}}), one, bool) and seen == [(0, 1), (1, 2)]
    keys.forget_known()
    assert not covered(fits, keys.known)


def test_of_replaced_records_only_what_is_left_counts() -> None:
    keys, one = FoundKeys(), snapshot('{"a":1,"b":2}', '{"a":1}')
    one.views[0].deleted_rows = 1
    both = parse_where({"$and": [{"a": 1}, {"b": {"$ne": 1}}]})
    asked: list[str] = []

    def has(node: Any) -> bool:
        asked.append(node.key)
        return bool(node == Exists("a"))

    assert not keys.covers(both, one, has) and {"a", "b"} == set(asked)
    assert not covered(both, keys.known) and covered(parse_where({"a": 1}), keys.known)


@pytest.mark.parametrize("value", ["null", "[]", "[[1]]", '{"c":1}'])
def test_values_of_no_known_type_are_damage(value: str) -> None:
    with pytest.raises(Corruption, match="'key' has a value of no known type"):
        FoundKeys().among(snapshot(f'{{"key":{value}}}'))
