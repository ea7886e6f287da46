"""Order: insertion order through every rewrite, and order_by where asked."""

from __future__ import annotations

from typing import Any

import pytest

from ..support.checks import fill, refused


def test_insertion_order_survives_everything(client: Any, reopen: Any) -> None:
    collection = client.create_collection("things", embedding_function=None)
    fill(collection, 6)
    collection.compact()
    collection.update(ids=["r4"], metadatas=[{"n": 40}])
    collection.upsert(ids=["r1", "new"], embeddings=[[9, 9], [8, 8]])
    collection.delete(ids=["r2"])
    collection.add(ids=["r2"], embeddings=[[7, 7]])
    expected = ["r0", "r1", "r3", "r4", "r5", "new", "r2"]
    assert collection.get()["ids"] == expected
    collection.compact()
    assert collection.get()["ids"] == expected
    collection = reopen(client).get_collection("things")
    assert collection.get()["ids"] == expected
    assert collection.get(where={"n": {"$gte": 0}})["ids"] == ["r0", "r1", "r3", "r4", "r5"]


def test_ties_keep_insertion_order_across_segments_and_log(collection: Any) -> None:
    for start in range(0, 30, 10):
        ids = [f"r{i}" for i in range(start, start + 10)]
        collection.add(ids=ids, embeddings=[[1, 1]] * 10)
        if start < 20:
            collection.compact()
    collection.update(ids=["r3"], embeddings=[[1, 1]])
    result = collection.query(query_embeddings=[[0, 0]], n_results=12)
    assert result["ids"] == [[f"r{i}" for i in range(12)]]


def test_ties_keep_insertion_order_where_all_of_them_were_updated(collection: Any) -> None:
    ids = [f"r{i}" for i in range(30)]
    collection.add(ids=ids, embeddings=[[1, 1]] * 30)
    for id in ("r3", "r0", "r2"):
        collection.update(ids=[id], metadatas=[{"n": 1}])
    for k in (1, 2, 4, 29, 30, 31):
        assert collection.query(query_embeddings=[[0, 0]] * 2, n_results=k)["ids"] == [ids[:k]] * 2
        assert collection.query(query_embeddings=[[0, 0]], n_results=k, exact=True)["ids"] == [ids[:k]]
    found = collection.query(query_embeddings=[[0, 0]], n_results=2, where={"n": 1})
    assert found["ids"] == [["r0", "r2"]]


def test_a_batch_keeps_the_order_it_was_given_in(collection: Any) -> None:
    ids = ["z", "a", "m", "b"]
    collection.add(ids=ids, embeddings=[[1, 2]] * 4)
    assert collection.get()["ids"] == ids


@pytest.fixture
def years(collection: Any) -> Any:
    rows = {"a": 3, "b": 1, "c": None, "d": 2.5, "e": 1, "f": "x"}
    collection.add(
        ids=list(rows),
        embeddings=[[1, 2]] * len(rows),
        metadatas=[None if v is None else {"year": v} for v in rows.values()],
    )
    return collection


def test_order_by_sorts_numbers_by_value_with_ties_in_insertion_order(years: Any) -> None:
    got = years.get(order_by="year", where={"year": {"$gte": 0}})
    assert got["ids"] == ["b", "e", "d", "a"]
    assert [m["year"] for m in got["metadatas"]] == [1, 1, 2.5, 3]


def test_order_by_descending(years: Any) -> None:
    got = years.get(order_by="-year", where={"year": {"$gte": 0}})
    assert got["ids"] == ["a", "d", "b", "e"]


def test_order_by_returns_every_record_and_puts_absent_keys_last(years: Any) -> None:
    for order in ("year", "-year"):
        ids = years.get(order_by=order)["ids"]
        assert sorted(ids) == ["a", "b", "c", "d", "e", "f"]
        assert ids[-1] == "c"


def test_limit_and_offset_apply_after_order_by(years: Any) -> None:
    got = years.get(order_by="year", where={"year": {"$gte": 0}}, limit=2, offset=1)
    assert got["ids"] == ["e", "d"]


def test_order_by_sorts_the_same_from_a_segment(years: Any) -> None:
    before = years.get(order_by="year")["ids"]
    years.compact()
    assert years.get(order_by="year")["ids"] == before


def test_order_by_of_another_type_is_refused(years: Any) -> None:
    with refused("order_by"):
        years.get(order_by=5)


def test_several_keys_sort_one_after_the_other(collection: Any) -> None:
    rows = {"a": (1, "y"), "b": (2, "x"), "c": (1, "x")}
    collection.add(
        ids=list(rows), embeddings=[[1, 2]] * 3, metadatas=[{"n": n, "s": s} for n, s in rows.values()]
    )
    assert collection.get(order_by=["n", "s"])["ids"] == ["c", "a", "b"]
    assert collection.get(order_by=["-n", "s"])["ids"] == ["b", "c", "a"]


def test_the_order_of_the_request_can_be_asked_for(years: Any) -> None:
    """Edge 4."""
    assert years.get(ids=["e", "nobody", "a", "c"], order_by="#request")["ids"] == ["e", "a", "c"]
    got = years.get(ids=["d", "b"], order_by="#request", include=["metadatas", "embeddings"])
    assert got["metadatas"] == [{"year": 2.5}, {"year": 1}]
    with refused("order_by"):
        years.get(order_by="#request")
