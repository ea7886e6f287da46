"""Random searches give what a plain evaluator gives, which was written from the contract."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chroma
from chroma import (
    GroupBy,
    K,
    Knn,
    MaxK,
    MinK,
    Rrf,
    Schema,
    Search,
    SparseVector,
    SparseVectorIndexConfig,
    Val,
)
from chroma.search.ranks import Abs, Div, Exp, Log, Max, Min, Mul, Rank, Sub, Sum

Record = dict[str, Any]


# ---------------------------------------------------------------------------- the plain evaluator


def _knn(leaf: dict[str, Any], records: list[Record]) -> tuple[dict[int, float], float | None]:
    query = np.asarray(leaf["query"], np.float32).astype(float)
    found = []
    for place, record in enumerate(records):
        total = 0.0
        for one, other in zip(record["vector"], query, strict=True):
            total += (float(np.float32(one)) - other) ** 2
        found.append((float(np.float32(total)), place))
    found = sorted(found)[: leaf["limit"]]
    if leaf.get("return_rank"):
        return {place: float(rank) for rank, (_, place) in enumerate(found)}, leaf.get("default")
    return {place: distance for distance, place in found}, leaf.get("default")


def _sparse(leaf: dict[str, Any], records: list[Record], all_records: list[Record]) -> Any:
    key = leaf["key"]
    vectors = [_components((record["metadata"] or {}).get(key)) for record in all_records]
    weights = {
        index: float(np.float32(value))
        for index, value in zip(leaf["query"]["indices"], leaf["query"]["values"])
    }
    if key == "weighted":
        for index in weights:
            having = sum(index in vector for vector in vectors)
            weights[index] *= math.log(1 + (len(all_records) - having + 0.5) / (having + 0.5))
    found = []
    for place, record in enumerate(records):
        vector = _components((record["metadata"] or {}).get(key))
        if not vector.keys().isdisjoint(weights):
            total = 0.0
            for index, weight in weights.items():
                if index in vector:
                    total += weight * vector[index]
            found.append((-total, place))
    found = sorted(found)[: leaf["limit"]]
    if leaf.get("return_rank"):
        return {place: float(rank) for rank, (_, place) in enumerate(found)}, leaf.get("default")
    return {place: 1 + distance for distance, place in found}, leaf.get("default")


def _components(value: Any) -> dict[int, float]:
    if not isinstance(value, SparseVector):
        return {}
    return dict(zip(value.indices, np.float32(value.values).astype(float).tolist()))


def _apply(name: str, value: float) -> float:
    with np.errstate(all="ignore"):
        return float({"$abs": np.abs, "$exp": np.exp, "$log": np.log}[name](np.float64(value)))


def _join(name: str, left: float, right: float) -> float:
    operations = {
        "$sum": np.add, "$mul": np.multiply, "$max": np.fmax, "$min": np.fmin, "$sub": np.subtract,
        "$div": np.divide,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        return float(operations[name](np.float64(left), np.float64(right)))


def scores(
    rank: dict[str, Any], records: list[Record], all_records: list[Record]
) -> tuple[dict[int, float], float | None]:
    """The support with its values, and the default. `records` match the filter."""
    ((name, value),) = rank.items()
    if name == "$val":
        return {}, float(value)
    if name == "$knn":
        if value["key"] != "#embedding":
            return _sparse(value, records, all_records)
        return _knn(value, records)
    if name in ("$abs", "$exp", "$log"):
        support, default = scores(value, records, all_records)
        return {at: _apply(name, score) for at, score in support.items()}, (
            None if default is None else _apply(name, default)
        )
    parts = [value["left"], value["right"]] if name in ("$sub", "$div") else value
    support, default = scores(parts[0], records, all_records)
    for part in parts[1:]:
        other, other_default = scores(part, records, all_records)
        if default is not None and other_default is not None:
            places = support.keys() | other.keys()
        elif default is not None:
            places = other.keys()
        elif other_default is not None:
            places = support.keys()
        else:
            places = support.keys() & other.keys()
        support = {at: _join(name, support.get(at, default), other.get(at, other_default)) for at in places}  # type: ignore[arg-type]
        if default is None or other_default is None:
            default = None
        else:
            default = _join(name, default, other_default)
    return support, default


def _value_order(value: Any) -> tuple[int, Any]:
    if value is None:
        return 0, 0
    if isinstance(value, bool):
        return 1, value
    if isinstance(value, (int, float)):
        return 2, value
    return (3, value) if isinstance(value, str) else (4, 0)


def _identity(value: Any) -> Any:
    return _value_order(value)[0], tuple(value) if isinstance(value, list) else value


def expected(
    form: dict[str, Any], records: list[Record], all_records: list[Record]
) -> list[tuple[str, float | None]]:
    if form["rank"] is None:
        ranked = [(float(place), place) for place in range(len(records))]
    else:
        support, _ = scores(form["rank"], records, all_records)
        ranked = [(score, at) for at, score in support.items()]
        ranked = sorted(
            ranked, key=lambda pair: (math.isnan(pair[0]), 0 if math.isnan(pair[0]) else pair[0], pair[1])
        )
    if form["group_by"]:
        ((operator, parts),) = form["group_by"]["aggregate"].items()
        groups: dict[Any, list[tuple[float, int]]] = {}
        for score, at in ranked:
            key = tuple(
                _identity((records[at]["metadata"] or {}).get(key)) for key in form["group_by"]["keys"]
            )
            groups.setdefault(key, []).append((score, at))
        kept: set[int] = set()
        for members in groups.values():
            for key in reversed(parts["keys"]):
                members = _sorted(members, key, records, operator == "$max_k")
            kept |= {at for _, at in members[: parts["k"]]}
        ranked = [pair for pair in ranked if pair[1] in kept]
    page = ranked[form["limit"]["offset"] :]
    page = page[: form["limit"].get("limit", len(page))]
    if form["rank"] is None:
        return [(records[at]["id"], float(number)) for number, (_, at) in enumerate(page)]
    return [(records[at]["id"], score if math.isfinite(score) else None) for score, at in page]


def _sorted(
    members: list[tuple[float, int]], key: str, records: list[Record], largest: bool
) -> list[tuple[float, int]]:
    """Sort by a key, ties in the order in which they come. A score that is no number is last, either way."""

    def value(member: tuple[float, int]) -> Any:
        score, at = member
        if key == "#score":
            return 0, score
        return _value_order((records[at]["metadata"] or {}).get(key))

    last = [member for member in members if key == "#score" and math.isnan(member[0])]
    others = [member for member in members if member not in last]
    ordered = sorted({value(member) for member in others}, reverse=largest)
    return [member for each in ordered for member in others if value(member) == each] + last


# ---------------------------------------------------------------------------- random searches

small = st.integers(-3, 3).map(float)
vectors = st.lists(small, min_size=2, max_size=2)
values = st.one_of(
    st.booleans(), st.integers(-2, 2), st.sampled_from([0.5, 1.0, -1.0, 2.0**60]),
    st.sampled_from(["a", "b", "ä", "1"]), st.just([1, 2]), st.just(2**60 + 1),
)  # fmt: skip
sparse_vectors = st.dictionaries(
    st.integers(0, 4), st.sampled_from([-1.0, 0.5, 0.1, 1.0, 2.0]), max_size=4
).map(lambda found: SparseVector(sorted(found), [found[index] for index in sorted(found)]))
sparse_values = st.one_of(sparse_vectors, sparse_vectors, st.just(1))
metadatas = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {}, optional={"x": values, "y": values, "plain": sparse_values, "weighted": sparse_values}
    ).filter(bool),
)
knns = st.builds(
    Knn, vectors, limit=st.integers(1, 9), default=st.one_of(st.none(), small), return_rank=st.booleans()
)
sparse_knns = st.builds(
    Knn, sparse_vectors, key=st.sampled_from(["plain", "weighted"]), limit=st.integers(1, 9),
    default=st.one_of(st.none(), small), return_rank=st.booleans(),
)  # fmt: skip
leaves = st.one_of(knns, sparse_knns, st.builds(Val, small))


def _extend(inner: st.SearchStrategy[Rank]) -> st.SearchStrategy[Rank]:
    several = st.lists(inner, min_size=2, max_size=3)
    return st.one_of(
        *(st.builds(kind, inner) for kind in (Abs, Exp, Log)),
        *(st.builds(kind, inner, inner) for kind in (Sub, Div)),
        *(st.builds(kind, several) for kind in (Sum, Mul, Max, Min)),
        st.builds(Rrf, st.lists(inner, min_size=1, max_size=3), k=st.integers(1, 60)),
    )


ranks = st.recursive(leaves, _extend, max_leaves=6)
keys = st.lists(st.sampled_from(["x", "y"]), min_size=1, max_size=2, unique=True)
orders = st.lists(st.sampled_from(["x", "y", "#score"]), min_size=1, max_size=3, unique=True)
groups = st.builds(
    lambda keys, kind, order, k: GroupBy(keys, kind(order, k)),
    keys, st.sampled_from([MinK, MaxK]), orders, st.integers(1, 3),
)  # fmt: skip
limits = st.one_of(
    st.none(),
    st.fixed_dictionaries({"limit": st.integers(1, 6), "offset": st.integers(0, 4)}),
)
filters = st.sampled_from(
    [None, K("x") == 1, K("x") != 1, K("y") == "a", K("x") >= 0, K("y").not_in(["a", "b"])]
)


@st.composite
def searches(draw: Any) -> Search:
    rank = draw(st.one_of(st.none(), ranks))
    group = None if rank is None else draw(st.one_of(st.none(), groups))
    return Search(where=draw(filters), rank=rank, group_by=group, limit=draw(limits), select=["#score"])


@st.composite
def histories(draw: Any) -> tuple[list[list[Record]], dict[str, Any], list[str]]:
    """Batches of records, new sparse vectors for some ids, and ids to delete."""
    count = draw(st.integers(0, 12))
    records = [
        {"id": f"r{number}", "vector": draw(vectors), "metadata": draw(metadatas)} for number in range(count)
    ]
    cut = draw(st.integers(0, count))
    ids = (
        st.lists(st.sampled_from([record["id"] for record in records]), unique=True) if count else st.just([])
    )
    updated = {id: draw(st.one_of(st.none(), sparse_vectors)) for id in draw(ids)}
    return [records[:cut], records[cut:]], updated, draw(ids)


def _matches(condition: Any, collection: Any, records: list[Record]) -> list[Record]:
    if condition is None:
        return records
    ids = set(collection.get(where=condition.to_dict())["ids"])  # filters have a model of their own
    return [record for record in records if record["id"] in ids]


def _close(found: list[tuple[str, Any]], right: list[tuple[str, Any]]) -> bool:
    return [id for id, _ in found] == [id for id, _ in right] and all(
        (one is None and other is None)
        or (one is not None and other is not None and math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9))
        for (_, one), (_, other) in zip(found, right, strict=True)
    )


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with chroma.PersistentClient(tmp_path_factory.mktemp("search")) as made:
        yield made


numbers = itertools.count()


@settings(deadline=None, max_examples=120)
@given(histories(), st.lists(searches(), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_searches_are_those_of_the_model(
    client: Any, history: Any, asked: list[Search], early: bool, late: bool
) -> None:
    (first, second), updated, deleted = history
    schema = Schema().create_index(SparseVectorIndexConfig(), "plain")
    schema = schema.create_index(SparseVectorIndexConfig(bm25=True), "weighted")
    collection = client.create_collection(f"things{next(numbers)}", schema=schema, embedding_function=None)
    by_id = {record["id"]: record for record in [*first, *second]}
    for number, batch in enumerate((first, second)):
        if batch:
            collection.add(
                ids=[record["id"] for record in batch],
                embeddings=[record["vector"] for record in batch],
                metadatas=[record["metadata"] for record in batch],
            )
        if number == 0 and early:
            collection.compact()
    if updated:
        collection.update(
            ids=list(updated),
            embeddings=[by_id[id]["vector"] for id in updated],
            metadatas=[{"plain": value, "weighted": value} for value in updated.values()],
        )
        for id, value in updated.items():
            kept = {key: each for key, each in (by_id[id]["metadata"] or {}).items() if key in ("x", "y")}
            by_id[id]["metadata"] = kept if value is None else kept | {"plain": value, "weighted": value}
    if deleted:
        collection.delete(ids=deleted)
    if late:
        collection.compact()
    records = [record for record in [*first, *second] if record["id"] not in deleted]
    found = collection.search(asked)
    for number, search in enumerate(asked):
        form = search.to_dict()
        form["group_by"] = form["group_by"] or None
        right = expected(form, _matches(search._where, collection, records), records)
        pairs = list(zip(found["ids"][number], found["scores"][number], strict=True))
        assert _close(pairs, right), (form, pairs, right)
    client.delete_collection(collection.name)
