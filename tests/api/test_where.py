"""where: each operator on one table of mixed types, and each way to get it wrong."""

from __future__ import annotations

import datetime as dt
import enum
import importlib.util
from typing import Any

import numpy as np
import pytest

from ..model.evaluator import matches
from ..support.checks import refused

TABLE: dict[str, Any] = {
    "int1": 1,
    "int2": 2,
    "float1": 1.0,
    "float1.5": 1.5,
    "str1": "1",
    "abc": "abc",
    "empty": "",
    "true": True,
    "false": False,
    "ints": [1, 2],
    "floats": [1.0, 2.5],
    "strs": ["abc", "1"],
    "bools": [True],
    "absent": None,
    "bare": ...,
}


@pytest.fixture(params=["log", "sealed", "half"])
def mixed(collection: Any, request: pytest.FixtureRequest) -> Any:
    """One record per row of TABLE: in the log, in a segment, or half and half."""
    rows = list(TABLE.items())
    parts = {"log": [rows], "sealed": [rows, []], "half": [rows[:7], rows[7:]]}[request.param]
    for part in parts:
        if part is not parts[0]:
            collection.compact()
        if part:
            collection.add(
                ids=[id for id, _ in part],
                embeddings=[[1, 2]] * len(part),
                metadatas=[
                    None if value is ... else {"other": 1} if value is None else {"v": value}
                    for _, value in part
                ],
            )
    return collection


def found(collection: Any, where: Any) -> set[str]:
    ids = collection.get(where=where)["ids"]
    assert ids == [id for id in TABLE if id in ids], "insertion order"
    assert collection.count(where=where) == len(ids)
    assert set(collection.query(query_embeddings=[[0, 0]], n_results=50, where=where)["ids"][0]) == set(ids)
    return set(ids)


def others(*ids: str) -> set[str]:
    return set(TABLE) - set(ids)


@pytest.mark.parametrize(
    ("operand", "equal"),
    [
        (1, {"int1", "float1"}),
        (1.0, {"int1", "float1"}),
        (1.5, {"float1.5"}),
        ("1", {"str1"}),
        ("abc", {"abc"}),
        ("ABC", set()),
        ("", {"empty"}),
        (True, {"true"}),
        (False, {"false"}),
        (0, set()),
    ],
)
def test_equality(mixed: Any, operand: Any, equal: set[str]) -> None:
    """Edges 1 and 42."""
    assert found(mixed, {"v": operand}) == equal
    assert found(mixed, {"v": {"$eq": operand}}) == equal
    assert found(mixed, {"v": {"$ne": operand}}) == others(*equal)


@pytest.mark.parametrize(
    ("operator", "operand", "expected"),
    [
        ("$gt", 1, {"int2", "float1.5"}),
        ("$gte", 1, {"int1", "int2", "float1", "float1.5"}),
        ("$lt", 2, {"int1", "float1", "float1.5"}),
        ("$lte", 1, {"int1", "float1"}),
        ("$gt", 1.5, {"int2"}),
        ("$gte", 1.5, {"int2", "float1.5"}),
        ("$lt", 1.5, {"int1", "float1"}),
        ("$lte", 1.5, {"int1", "float1", "float1.5"}),
        ("$lt", -1e300, set()),
    ],
)
def test_order(mixed: Any, operator: str, operand: Any, expected: set[str]) -> None:
    """Edge 1."""
    assert found(mixed, {"v": {operator: operand}}) == expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ([1, 5], {"int1", "float1"}),
        ([1.5, 2.0], {"float1.5", "int2"}),
        (["1", ""], {"str1", "empty"}),
        ([True], {"true"}),
        ([True, False], {"true", "false"}),
        (["nothing"], set()),
    ],
)
def test_membership(mixed: Any, members: Any, expected: set[str]) -> None:
    """Edge 42."""
    assert found(mixed, {"v": {"$in": members}}) == expected
    assert found(mixed, {"v": {"$nin": members}}) == others(*expected)


@pytest.mark.parametrize(
    ("operand", "expected"),
    [
        (1, {"ints", "floats"}),
        (1.0, {"ints", "floats"}),
        (2.5, {"floats"}),
        ("abc", {"strs"}),
        ("a", set()),
        (True, {"bools"}),
        (False, set()),
    ],
)
def test_containment(mixed: Any, operand: Any, expected: set[str]) -> None:
    """Edges 36 and 42."""
    assert found(mixed, {"v": {"$contains": operand}}) == expected
    assert found(mixed, {"v": {"$not_contains": operand}}) == others(*expected)


def test_this_table_agrees_with_the_oracle() -> None:
    assert {
        id for id, v in TABLE.items() if matches({"v": {"$ne": 1}}, {"v": v} if v is not ... else None)
    } == others("int1", "float1")


def test_and_or_nest(mixed: Any) -> None:
    where = {"$and": [{"$or": [{"v": 1}, {"v": 2}, {"v": "abc"}]}, {"v": {"$gte": 1}}, {"v": {"$ne": 2}}]}
    assert found(mixed, where) == {"int1", "float1"}


def test_a_key_nobody_has(mixed: Any) -> None:
    assert found(mixed, {"nobody": 1}) == set()
    assert found(mixed, {"nobody": {"$ne": 1}}) == set(TABLE)
    assert found(mixed, {"nobody": {"$nin": [1]}}) == set(TABLE)
    assert found(mixed, {"nobody": {"$not_contains": 1}}) == set(TABLE)


def test_ids_can_be_filtered(mixed: Any) -> None:
    """Edge 22."""
    assert found(mixed, {"#id": "abc"}) == {"abc"}
    assert found(mixed, {"#id": {"$in": ["abc", "true", "nobody"]}}) == {"abc", "true"}
    assert found(mixed, {"#id": {"$nin": ["abc"]}}) == others("abc")
    assert found(mixed, {"$or": [{"#id": "true"}, {"v": "abc"}]}) == {"abc", "true"}


def test_documents_can_be_filtered_in_where(collection: Any) -> None:
    collection.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], documents=["red fox", None])
    assert collection.get(where={"#document": {"$contains": "fox"}})["ids"] == ["a"]
    assert collection.get(where={"#document": {"$not_contains": "fox"}})["ids"] == ["b"]


def test_reserved_keys_are_no_way_in(collection: Any) -> None:
    """Edge 15."""
    collection.add(ids=["a"], embeddings=[[1, 2]], documents=["red fox"])
    try:
        assert collection.get(where={"chroma:document": "red fox"})["ids"] == []
    except ValueError as error:
        assert "chroma:" in str(error)


def test_numpy_scalars_are_operands(mixed: Any) -> None:
    """Edge 33."""
    assert found(mixed, {"v": np.int64(2)}) == {"int2"}
    assert found(mixed, {"v": {"$gt": np.float32(1.5)}}) == {"int2"}
    assert found(mixed, {"v": {"$in": [np.int64(2)]}}) == {"int2"}


@pytest.mark.parametrize(
    "key", ["a.b", "with space", "ключ", 'quo"te', "semi;colon", "x' OR '1'='1", "a\x00b"]
)
def test_odd_keys_and_values_are_only_text(collection: Any, key: str) -> None:
    collection.add(ids=["a", "b"], embeddings=[[1, 2]] * 2, metadatas=[{key: key}, {key: "other"}])
    assert collection.get(where={key: key})["ids"] == ["a"]
    collection.compact()
    assert collection.get(where={key: key})["ids"] == ["a"]


@pytest.mark.parametrize(
    ("where", "fragment"),
    [
        ("v ==", "expected a value"),
        ([{"v": 1}], "where"),
        ({5: 1}, "5"),
        ({"v": 1, "w": 2}, "exactly one operator"),
        ({"v": {}}, "exactly one operator"),
        ({"v": {"$gt": 1, "$lt": True}}, "$lt"),
        ({"v": {"$gt": 1, "$foo": 3}}, "Expected where operator to be one of"),
        ({"v": {"$foo": 1}}, "Expected where operator to be one of"),
        ({"v": {"$not": {"$foo": 1}}}, "Expected where operator to be one of"),
        ({"v": {"$not": 1}}, "$ne"),
        ({"v": {"$not": [1]}}, "$not"),
        ({"$not": 1}, "where"),
        ({"$not": {}}, "exactly one operator"),
        ({"$not": [{"v": 1}]}, "where"),
        ({"v": {"$exists": 1}}, "True or False"),
        ({"#id": {"$exists": True}}, "#id"),
        ({"v": {"$between": [1]}}, "two bounds"),
        ({"v": {"$between": 3}}, "two bounds"),
        ({"v": {"$between": [1, "x"]}}, "two numbers"),
        ({"v": {"$between": [True, False]}}, "two numbers"),
        ({"v": {"$like": 1}}, "$like"),
        ({"v": {"$ilike": None}}, "$ilike"),
        ({"v": {"$like": "x\\"}}, "backslash"),
        ({"v": {"$regex": 1}}, "$regex"),
        ({"v": {"$regex": ""}}, "non-empty"),
        ({"v": {"$regex": "("}}, "Regex syntax"),
        ({"$foo": 1}, "$foo"),
        ({"$in": [1]}, "$in"),
        ({"$contains": "x"}, "$contains"),
        ({"v": None}, "$exists"),
        ({"v": []}, "non-empty list"),
        ({"v": [1, "x"]}, "one type"),
        ({"v": [[1]]}, "one type"),
        ({"v": {"$eq": None}}, "v"),
        ({"v": {"$eq": [1]}}, "v"),
        ({"v": {"$gt": True}}, "$gt"),
        ({"v": {"$lte": None}}, "$lte"),
        ({"v": {"$in": 1}}, "$in"),
        ({"v": {"$in": []}}, "$in"),
        ({"v": {"$in": [1, "x"]}}, "$in"),
        ({"v": {"$in": [1, 1.5]}}, "$in"),
        ({"v": {"$in": [1, True]}}, "$in"),
        ({"v": {"$nin": [None]}}, "$nin"),
        ({"v": {"$in": [float("nan")]}}, "$in"),
        ({"v": float("nan")}, "v"),
        ({"v": {"$lt": float("inf")}}, "$lt"),
        ({"v": 2**63}, "9223372036854775808"),
        ({"v": {"$in": [2**63]}}, "$in"),
        ({"$and": {"v": 1}}, "$and"),
        ({"$and": []}, "$and"),
        ({"$and": [{"v": 1}]}, "$and"),
        ({"$or": [{"v": 1}]}, "$or"),
        ({"$or": [{"v": 1}, {"v": {"$foo": 2}}]}, "$foo"),
        ({"$or": [{"v": 1}, "v"]}, "where"),
        ({"#document": {"$regex": 5}}, "$regex"),
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["get", "query", "delete", "count"])
def test_what_is_not_a_filter_is_refused(collection: Any, where: Any, fragment: str, verb: str) -> None:
    arguments = {"query_embeddings": [[1, 2]]} if verb == "query" else {}
    collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"v": 1}])
    with refused(fragment):
        getattr(collection, verb)(where=where, **arguments)
    assert collection.count() == 1


def test_a_wrong_pattern_is_refused_also_where_nothing_is_looked_at(collection: Any) -> None:
    collection.add(ids=["a"], embeddings=[[1.0]], documents=["text"], metadatas=[{"k": 1}])
    for where in ({"missing": "x"}, {"k": 1}):
        with refused("Regex syntax"):
            collection.get(where=where, where_document={"$regex": "("})


# ---------------------------------------------------------------------------- dates

UTC, EAST = dt.timezone.utc, dt.timezone(dt.timedelta(hours=2))
DAYS: dict[str, Any] = {
    "day": "2024-02-01",
    "noon": "2024-02-01T12:00:00",
    "part": "2024-02-01T12:00:00.5Z",
    "noon in UTC": "2024-02-01T12:00:00Z",
    "east": "2024-02-01T14:00:00+02:00",
    "late": "9999-12-31",
    "text": "soon",
    "number": 20240201,
    "list": ["2024-02-01"],
    "absent": None,
}
FROM_NOON = {"noon", "part", "noon in UTC", "east", "late"}
NOONS = FROM_NOON - {"part", "late"}


@pytest.fixture
def days(collection: Any) -> Any:
    collection.add(
        ids=[*DAYS],
        embeddings=[[1, 2]] * len(DAYS),
        metadatas=[None if day is None else {"v": day} for day in DAYS.values()],
    )
    return collection


NOON = dt.datetime(2024, 2, 1, 12)


def _stamps() -> list[Any]:
    """The times of pandas, where that is installed."""
    if importlib.util.find_spec("pandas") is None:
        return []
    import pandas as pd

    return [pd.Timestamp(NOON), pd.Timestamp(NOON, tz="UTC")]


NOON_IN_ALL_FORMS = [
    NOON,
    NOON.replace(tzinfo=UTC),
    dt.datetime(2024, 2, 1, 14, tzinfo=EAST),
    np.datetime64("2024-02-01T12"),
    np.datetime64("2024-02-01T12:00:00", "ns"),
    *_stamps(),
    {"$date": "2024-02-01T12:00:00Z"},
]


def test_dates_are_compared_with_dates(days: Any) -> None:
    def ids(where: Any) -> set[str]:
        return set(days.get(where=where)["ids"])

    for noon in NOON_IN_ALL_FORMS:
        assert ids({"v": {"$gte": noon}}) == FROM_NOON
        assert ids({"v": noon}) == ids({"v": {"$eq": noon}}) == NOONS
    assert ids({"v": {"$gt": NOON}}) == FROM_NOON - NOONS
    assert ids({"v": {"$lt": NOON}}) == {"day"}
    assert ids({"v": {"$lte": NOON}}) == NOONS | {"day"}
    assert ids({"v": {"$in": [NOON, dt.date(9999, 12, 31)]}}) == NOONS | {"late"}
    assert ids({"v": {"$ne": NOON}}) == ids({"v": {"$nin": [NOON]}}) == set(DAYS) - NOONS
    both = {"$and": [{"v": {"$gte": dt.date(2024, 2, 1)}}, {"v": {"$lt": dt.date(2024, 2, 2)}}]}
    assert ids(both) == NOONS | {"day", "part"}
    assert days.count(where={"v": {"$gte": NOON}}) == len(FROM_NOON)
    found = days.query(query_embeddings=[[1, 2]], n_results=20, where={"v": {"$gte": NOON}})
    assert set(found["ids"][0]) == FROM_NOON
    days.delete(where={"v": {"$lt": NOON}})
    assert "day" not in days.get()["ids"]


def test_very_many_dates(days: Any) -> None:
    """More conditions than arrays evaluate."""
    many = [{"v": {"$eq": dt.date(2024, 2, 1) + dt.timedelta(n)}} for n in range(1500)]
    assert days.get(where={"$or": [*many, {"v": 20240201}]})["ids"] == ["day", "number"]


def test_what_dates_cannot_do(days: Any) -> None:
    with refused("$contains", "'v'", "stored text"):
        days.get(where={"v": {"$contains": dt.date(2024, 2, 1)}})
    with refused("'v'", "soon", "2024-01-31"):
        days.get(where={"v": {"$gt": {"$date": "soon"}}})
    with refused("NaT"):
        days.get(where={"v": {"$gt": np.datetime64("NaT")}})
    for mixed in ([NOON, "x"], [NOON, 1]):
        with refused("'v'", "one type"):
            days.get(where={"v": {"$in": mixed}})
    with refused("got datetime.time(1, 0)"):
        days.get(where={"v": {"$gt": dt.time(1)}})


# ---------------------------------------------------------------------------- subclasses


class Kind(str, enum.Enum):
    A = "abc"
    KEY = "v"
    OPERATOR = "$gt"
    JOINT = "$or"
    ID = "int1"


class Level(enum.IntEnum):
    ONE = 1


class Share(float):
    pass


SUBCLASSES: list[tuple[Any, set[str]]] = [
    ({"v": Kind.A}, {"abc"}),
    ({"v": {"$eq": Kind.A}}, {"abc"}),
    ({"v": {"$in": [Kind.A, "empty"]}}, {"abc"}),
    ({"v": {"$contains": Kind.A}}, {"strs"}),
    ({"v": Level.ONE}, {"int1", "float1"}),
    ({"v": {"$gt": Level.ONE}}, {"int2", "float1.5"}),
    ({"v": {"$in": [Level.ONE, 7]}}, {"int1", "float1"}),
    ({"v": {"$contains": Level.ONE}}, {"ints", "floats"}),
    ({"v": {"$gt": Share(1.25)}}, {"int2", "float1.5"}),
    ({Kind.KEY: {Kind.OPERATOR: np.float32(1)}}, {"int2", "float1.5"}),
    ({Kind.JOINT: [{Kind.KEY: np.str_("abc")}, {np.str_("v"): np.bool_(True)}]}, {"abc", "true"}),
    ({"#id": Kind.ID}, {"int1"}),
    ({"#id": {"$in": [np.str_("int2"), Kind.ID]}}, {"int1", "int2"}),
]


def test_subclasses_are_what_they_derive_from(collection: Any) -> None:
    metadatas = [{"v": value} for value in TABLE.values() if value not in (None, ...)]
    ids = [id for id, value in TABLE.items() if value not in (None, ...)]
    collection.add(ids=ids, embeddings=[[1, 2]] * len(ids), metadatas=metadatas)
    for where, expected in SUBCLASSES:
        assert set(collection.get(where=where)["ids"]) == expected, where
