"""where and where_document against the evaluator, over mixed types, in the log and in segments."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chroma.errors import InvalidArgumentError

from ..support import strategies
from .evaluator import matches, matches_document

CHECKED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

Record = tuple[dict[str, Any] | None, str | None]
records = st.lists(
    st.tuples(strategies.optional_metadatas, strategies.optional_documents), min_size=1, max_size=12
)


def load(client: Any, rows: list[Record], sealed: int) -> Any:
    """Records "0", "1", …: the first `sealed` in a segment, the others in the log."""
    collection = client.create_collection("filters", embedding_function=None)
    for part in (range(min(sealed, len(rows))), range(sealed, len(rows))):
        if part:
            collection.add(
                ids=[str(i) for i in part],
                embeddings=[[float(i), 0.0] for i in part],
                metadatas=[rows[i][0] for i in part],
                documents=[rows[i][1] for i in part],
            )
        if part and sealed and part.start == 0:
            collection.compact()
    return collection


def checked(kind: str) -> settings:
    """Fewer examples over HTTP: the filters are evaluated by the same engine there, and only sent."""
    return settings(CHECKED, max_examples=40 if kind in ("http", "async") else 120)


def test_where_agrees_with_the_evaluator(client: Any, client_kind: str) -> None:
    @checked(client_kind)
    @given(
        rows=records,
        wheres=st.lists(st.one_of(strategies.wheres, strategies.own_wheres), min_size=1, max_size=5),
        sealed=st.integers(0, 12),
    )
    @example(
        rows=[({"k": 2**53 + 1}, None), ({"k": 2.0**53}, None)], wheres=[{"k": {"$gt": 2.0**53}}], sealed=2
    )
    @example(rows=[({"k": 2**63 - 1}, None)], wheres=[{"k": 2.0**63}, {"k": {"$lt": 2.0**63}}], sealed=1)
    @example(rows=[({"k": [2**53 + 1]}, None)], wheres=[{"k": {"$contains": 2.0**53}}], sealed=1)
    @example(rows=[({"k": -0.0}, None), ({"k": 0}, None)], wheres=[{"k": 0.0}, {"k": {"$lt": 0}}], sealed=1)
    def agrees(rows: Any, wheres: Any, sealed: int) -> None:
        collection = load(client, rows, sealed)
        try:
            for where in wheres:
                expected = [
                    str(i) for i, (metadata, text) in enumerate(rows) if matches(where, metadata, text)
                ]
                assert collection.get(where=where)["ids"] == expected, where
                assert collection.count(where=where) == len(expected), where
                nearest = collection.query(query_embeddings=[[-1, 0]], n_results=12, where=where)["ids"]
                assert nearest == [expected], where
        finally:
            client.delete_collection("filters")

    agrees()


def test_where_document_agrees_with_the_evaluator(client: Any, client_kind: str) -> None:
    @checked(client_kind)
    @given(
        rows=records,
        filters=st.lists(strategies.where_documents, min_size=1, max_size=5),
        sealed=st.integers(0, 12),
    )
    def agrees(rows: Any, filters: Any, sealed: int) -> None:
        collection = load(client, rows, sealed)
        try:
            for tree in filters:
                expected = [str(i) for i, (_, text) in enumerate(rows) if matches_document(tree, text)]
                assert collection.get(where_document=tree)["ids"] == expected, tree
                assert collection.count(where_document=tree) == len(expected), tree
        finally:
            client.delete_collection("filters")

    agrees()


NUMBERS: list[Any] = [
    *strategies.INT_EDGES,
    *strategies.FLOAT_EDGES,
    2.0**53 + 2,
    2**62 + 1,
    2.0**62,
    True,
    "1",
]
COMPARISONS = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$contains", "$not_contains"]


@pytest.fixture(scope="module")
def numbers() -> list[dict[str, Any]]:
    return [{"k": n} for n in NUMBERS] + [{"k": [n]} for n in NUMBERS] + [{"other": 1}]


@pytest.mark.parametrize("sealed", [False, True], ids=["log", "sealed"])
@pytest.mark.parametrize("operator", COMPARISONS)
def test_every_operator_at_every_edge(client: Any, numbers: Any, operator: str, sealed: bool) -> None:
    """Exact by value at 2^53 ± 1 and at the int64 edges, as Python compares int with float."""
    collection = load(client, [(metadata, None) for metadata in numbers], len(numbers) if sealed else 0)
    for operand in NUMBERS:
        if operator in ("$gt", "$gte", "$lt", "$lte") and type(operand) not in (int, float):
            continue
        where = {"k": {operator: [operand] if operator in ("$in", "$nin") else operand}}
        expected = [str(i) for i, metadata in enumerate(numbers) if matches(where, metadata)]
        assert collection.get(where=where)["ids"] == expected, where


def nested(depth: int, leaf: dict[str, Any]) -> dict[str, Any]:
    tree = leaf
    for joint in itertools.islice(itertools.cycle(["$and", "$or"]), depth):
        tree = {joint: [tree, leaf]}
    return tree


def answered_or_refused(collection: Any, **filters: Any) -> Any:
    """The ids, or None where the filter was refused with a clear error."""
    try:
        return collection.get(**filters)["ids"]
    except InvalidArgumentError as error:
        assert 0 < len(str(error)) < 1500
        return None


@pytest.fixture(params=[False, True], ids=["log", "sealed"])
def hundred(client: Any, request: pytest.FixtureRequest) -> Any:
    rows: list[Record] = [({"n": i, "s": str(i)}, f"text {i}") for i in range(100)]
    return load(client, rows, 100 if request.param else 0)


@pytest.mark.parametrize("joint", ["$or", "$and"])
@pytest.mark.parametrize("key", ["n", "s", "same"])
def test_twenty_thousand_clauses(hundred: Any, joint: str, key: str) -> None:
    operator = "$eq" if joint == "$or" else "$ne"
    wrap = str if key == "s" else int
    name = "n" if key == "same" else key
    clauses = [{name: {operator: 3 if key == "same" else wrap(i * 2)}} for i in range(20_000)]
    hits = {3} if key == "same" else set(range(0, 100, 2))
    expected = [str(i) for i in range(100) if (i in hits) == (joint == "$or")]
    assert answered_or_refused(hundred, where={joint: clauses}) in (expected, None)
    assert hundred.count() == 100


def test_twenty_thousand_document_clauses(hundred: Any) -> None:
    clauses = [{"$contains": f"text {i}!"} for i in range(19_999)] + [{"$contains": "text 42"}]
    assert answered_or_refused(hundred, where_document={"$or": clauses}) in (["42"], None)


@pytest.mark.parametrize("depth", [50, 1000])
def test_a_thousand_levels(hundred: Any, depth: int) -> None:
    where = nested(depth, {"n": {"$lt": 3}})
    assert answered_or_refused(hundred, where=where) in (["0", "1", "2"], None)
    assert answered_or_refused(hundred, where_document=nested(depth, {"$contains": "text 7"})) in (
        ["7", *(str(i) for i in range(70, 80))],
        None,
    )
    assert hundred.count() == 100


def test_fifty_levels_are_answered(hundred: Any) -> None:
    assert hundred.get(where=nested(50, {"n": {"$lt": 3}}))["ids"] == ["0", "1", "2"]
