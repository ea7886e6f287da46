"""`facets`: counts of the values of metadata keys, on every kind of client."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chroma

from ..support.checks import refused

VALUES: list[Any] = [
    "red", "red", 1, 1.0, True, ["red", "blue", "red"], [1, 2, 2], [1.0, 2.5], [True, False], 2**63 - 1,
    float(2**63), 0.0, -0.0, None, 2**53, float(2**53), 2**53 + 1, "1", "", "é",
]  # fmt: skip


def filled(client: Any, values: list[Any] = VALUES) -> Any:
    made = client.create_collection("things", embedding_function=None)
    half = len(values) // 2
    for start, stop in ((0, half), (half, len(values))):
        made.add(
            ids=[f"r{row}" for row in range(start, stop)],
            embeddings=np.zeros((stop - start, 2)),
            metadatas=[{"k": values[row], "n": row} for row in range(start, stop)],
            documents=[f"text {row}" for row in range(start, stop)],
        )
        if not start:
            made.compact()
    return made


def expected(values: list[Any]) -> list[tuple[Any, int]]:
    """The counts, value by value: bools apart from numbers, each element of a list once."""
    counts: Counter[tuple[Any, Any]] = Counter()
    for value in values:
        each = value if isinstance(value, list) else [] if value is None else [value]
        counts.update({(("bool", "number", "str")[_kind(one)], one) for one in each})
    pairs = sorted(counts.items(), key=lambda pair: (-pair[1], _kind(pair[0][1]), pair[0][1]))
    return [(value, count) for (_, value), count in pairs]


def _kind(value: Any) -> int:
    return 0 if isinstance(value, bool) else 1 if isinstance(value, (int, float)) else 2


def pairs(facet: Any) -> list[tuple[Any, int]]:
    return [(each["value"], each["count"]) for each in facet["values"]]


def test_values_are_counted(client: Any, reopen: Callable[[Any], Any]) -> None:
    filled(client)
    for again in (False, True):
        things = (reopen(client) if again else client).get_collection("things", embedding_function=None)
        found = things.facets("k", limit=None)
        assert type(found) is chroma.FacetResult and list(found) == ["k"]
        assert pairs(found["k"]) == expected(VALUES)
        assert [type(value) for value, _ in pairs(found["k"])][:2] == [int, str]  # 1 is stored as both
        assert (found["k"]["distinct"], found["k"]["records"]) == (len(expected(VALUES)), len(VALUES) - 1)
        for value, count in pairs(found["k"]):
            listed = things.count({"k": {"$contains": value}})
            assert things.count({"k": value}) + listed == count  # the values are those of filters
        first = things.facets(["n", "k", "k"], limit=3)
        assert list(first) == ["n", "k"] and first["k"]["distinct"] == found["k"]["distinct"]
        assert pairs(first["k"]) == expected(VALUES)[:3]
        assert pairs(first["n"]) == [(0, 1), (1, 1), (2, 1)] and first["n"]["distinct"] == len(VALUES)


def test_only_matching_records_are_counted(client: Any) -> None:
    things = filled(client)
    few = VALUES[5:12]
    assert pairs(things.facets("k", {"n": {"$gte": 5}}, limit=None)["k"])[-1] == expected(VALUES[5:])[-1]
    where = {"$and": [{"n": {"$gte": 5}}, {"n": {"$lt": 12}}]}
    assert pairs(things.facets("k", where, limit=None)["k"]) == expected(few)
    assert pairs(things.facets("k", where_document={"$contains": "text 1"}, limit=None)["k"]) == expected(
        [VALUES[1], *VALUES[10:20]]
    )
    assert pairs(things.facets("k", ids=["r0", "r5", "none", "r0"])["k"]) == [("red", 2), ("blue", 1)]
    none = {"values": [], "distinct": 0, "records": 0}
    assert things.facets("k", ids=[]) == things.facets("k", {"n": -1}) == {"k": none}
    assert things.facets(["other", "#k"[1:]], {"n": -1}) == {"other": none, "k": none}
    things.delete(where={"n": {"$lt": 5}})
    things.update(ids=["r5"], metadatas=[{"k": "green"}])
    assert pairs(things.facets("k", {"n": {"$lt": 7}})["k"]) == expected(["green", [1, 2, 2]])
    assert client.create_collection("empty", embedding_function=None).facets("k") == {"k": none}


def test_many_random_values(client: Any) -> None:
    rng = np.random.default_rng(1)
    kinds: list[Callable[[], Any]] = [
        lambda: int(rng.integers(-5, 5)),
        lambda: float(rng.integers(-10, 10)) / 2,
        lambda: bool(rng.integers(2)),
        lambda: str(rng.integers(12)),
        lambda: [str(each) for each in rng.integers(5, size=3)],
        lambda: rng.integers(3, size=2).astype(float).tolist(),
        lambda: None,
    ]
    values = [kinds[rng.integers(len(kinds))]() for _ in range(600)]
    found = filled(client, values).facets("k", limit=None)["k"]
    assert pairs(found) == expected(values)


def test_facets_as_tables(client: Any) -> None:
    pytest.importorskip("pandas")
    found = filled(client).facets(["k", "other"], limit=2)
    frame = found.to_pandas()
    assert frame.to_dict("list") == {"key": ["k", "k"], "value": [1, "red"], "count": [4, 3]}
    assert (
        "red" in found._repr_html_() and "other" in found._repr_html_() and "0 values" in found._repr_html_()
    )
    assert found.copy() == found and type(found.copy()) is chroma.FacetResult
    assert len(chroma.FacetResult().to_pandas()) == 0
    hostile = chroma.FacetResult(k={"values": [{"value": "<b>", "count": 1}], "distinct": 1, "records": 1})
    assert "<b>" not in hostile._repr_html_()


BAD: list[tuple[dict[str, Any], str]] = [
    ({"keys": []}, "keys"), ({"keys": [1]}, "keys"), ({"keys": ""}, "keys"),
    ({"keys": "#document"}, "#document"), ({"keys": "\ud800"}, "keys"), ({"keys": None}, "keys"),
    ({"keys": "k", "limit": 0}, "limit"), ({"keys": "k", "limit": True}, "limit"),
    ({"keys": "k", "where": {"a": {"$no": 1}}}, "$no"), ({"keys": "k", "ids": [1.5]}, "id"),
]  # fmt: skip


def test_facets_that_are_refused(collection: Any) -> None:
    for arguments, said in BAD:
        with refused(said):
            collection.facets(**arguments)
