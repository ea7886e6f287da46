"""The best rows of an inverted index: as a plain loop finds them, compiled and not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.filters.row_set import RowSet
from chroma.storage.native import kernel
from chroma.storage.postings import postings, ranking
from chroma.storage.postings.ranking import Bm25, SparseQuery
from chroma.storage.schema.sparse_entries import Entries


class Case(NamedTuple):
    size: int
    entries: Entries
    lengths: Any
    query: SparseQuery
    k: int
    stop: int
    mask: Any
    positions: Any


def made(seed: int, size: int, frequencies: bool) -> Case:
    """Random rows with up to six of a few terms, and a query of some of them and of unknown ones."""
    random = np.random.default_rng(seed)
    terms = 7 * np.arange(random.integers(1, 60)) + 3
    rows: list[int] = []
    of: list[int] = []
    for row in range(size):
        some = np.sort(random.choice(terms, random.integers(0, min(len(terms), 6) + 1), replace=False))
        rows += [row] * len(some)
        of += some.tolist()
    if frequencies:
        values: Any = random.integers(1, 9, len(rows)).astype(np.uint16)
    elif seed % 5 == 0:
        values = random.random(len(rows)).astype(np.float32)
    elif seed % 2:  # many equal scores
        values = random.integers(-3, 6, len(rows)).astype(np.float32)
    else:
        values = random.standard_normal(len(rows)).astype(np.float32)
    asked = np.unique(random.integers(0, 80, random.integers(1, 8))).astype(np.uint32) * np.uint32(7)
    weights = random.integers(-2, 4, len(asked)).astype(float) if seed % 3 else random.random(len(asked))
    share = random.choice([0.01, 0.3, 0.9])
    return Case(
        size,
        Entries(np.array(rows, np.uint32), np.array(of, np.uint32), values),
        random.integers(1, 40, size).astype(np.uint32) if frequencies else None,
        SparseQuery(asked + np.uint32(3), weights),
        int(random.integers(1, 30)),
        int(random.integers(1, size + 1)) if seed % 4 == 0 else size,
        None if seed % 3 == 0 else random.random(size) < share,
        None if seed % 2 else random.permutation(size),
    )


BM25 = Bm25.of(1.2, 0.75, 10.0)


def value(case: Case, row: int, number: Any) -> float:
    if case.lengths is None:
        return float(number)
    times = float(number)
    length = float(case.lengths[row])
    return times * BM25.scale / (times + BM25.constant + BM25.slope * length)


def expected(case: Case) -> list[tuple[int, float]]:
    """The answer of a plain loop."""
    weight = dict(zip(case.query.terms.tolist(), case.query.weights.tolist()))
    held: dict[int, dict[int, float]] = {}
    for row, term, number in zip(*(column.tolist() for column in case.entries)):
        held.setdefault(row, {})[term] = value(case, row, number)
    found = []
    for row, terms in held.items():
        if row < case.stop and (case.mask is None or case.mask[row]) and not weight.keys().isdisjoint(terms):
            score = sum(weight[term] * terms[term] for term in weight if term in terms)
            found.append((-score, row if case.positions is None else int(case.positions[row]), row))
    return [(row, -score) for score, _, row in sorted(found)[: case.k]]


def got(case: Case) -> list[tuple[int, float]]:
    index = postings.build(case.entries, case.lengths)
    postings.checked(index, case.size)
    found = ranking.best(
        index,
        ranking.find(index, case.query.terms),
        case.query.weights,
        case.k,
        case.stop,
        bm25=None if case.lengths is None else BM25,
        allowed=None if case.mask is None else RowSet(case.size, mask=case.mask),
        positions=case.positions,
    )
    return list(zip(found.rows.tolist(), found.scores.tolist()))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 200), st.booleans())
def test_the_best_are_those_of_a_plain_loop(seed: int, size: int, frequencies: bool) -> None:
    case = made(seed, size, frequencies)
    wanted = expected(case)
    assert got(case) == wanted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "postings", None)
        assert got(case) == wanted


def searched(case: Case, records: int | None) -> tuple[list[tuple[int, float]], list[float]]:
    index = postings.checked(postings.build(case.entries, case.lengths), case.size)
    found, weights = ranking.search(
        index,
        case.query,
        case.k,
        case.stop,
        records=records,
        bm25=None if case.lengths is None else BM25,
        positions=case.positions,
    )
    return list(zip(found.rows.tolist(), found.scores.tolist())), weights.tolist()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 200), st.booleans(), st.booleans())
def test_a_search_by_one_call_is_the_same(seed: int, size: int, frequencies: bool, rare: bool) -> None:
    case = made(seed, size, frequencies)._replace(mask=None)
    records = size if rare else None
    found, weights = searched(case, records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "postings", None)
        assert searched(case, records) == (found, weights)  # to the last bit
    query = SparseQuery(case.query.terms, np.array(weights))
    assert found == expected(case._replace(query=query))


def test_a_search_of_an_empty_index_finds_nothing() -> None:
    case = made(1, 5, False)
    none = case._replace(entries=Entries(*(column[:0] for column in case.entries)))
    found, weights = searched(none, 5)
    assert found == []
    assert len(weights) == len(case.query.terms)


@pytest.mark.parametrize(
    ("at", "value", "error"),
    [
        (5, np.zeros(0, np.uint32), ValueError),
        (6, np.zeros(1, np.float32), ValueError),
        (8, np.zeros(1, np.uint32), ValueError),
        (9, np.zeros(2), ValueError),
        (10, "many", TypeError),
        (11, -1, ValueError),
        (12, np.zeros(0, np.int64), ValueError),
        (14, np.zeros(0), ValueError),
    ],
)
def test_the_compiled_search_refuses_what_does_not_fit(at: int, value: Any, error: type[Exception]) -> None:
    case = made(4, 50, False)
    index = postings.build(case.entries)
    query, rows, scores = case.query, np.empty(3, np.int64), np.empty(3)
    arguments: list[Any] = [
        index.starts,
        index.rows,
        index.values,
        None,
        None,
        index.terms,
        index.most,
        False,
    ]
    arguments += [query.terms, query.weights.copy(), -1, case.size, None, rows, scores]
    assert kernel.postings.search(*arguments) >= 0  # type: ignore[union-attr]
    arguments[at] = value
    with pytest.raises(error):
        kernel.postings.search(*arguments)  # type: ignore[union-attr]


@pytest.mark.parametrize("frequencies", [False, True])
def test_many_windows(frequencies: bool) -> None:
    for seed in range(3):
        case = made(seed, 15_000, frequencies)
        assert got(case) == expected(case)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 60))
def test_counts(seed: int, size: int) -> None:
    case = made(seed, size, False)
    index = postings.build(case.entries)
    found = ranking.find(index, case.query.terms)
    for tombstones in (None, np.random.default_rng(seed).random(size) < 0.3):
        live = case.entries.rows < case.stop
        if tombstones is not None:
            live &= ~tombstones[case.entries.rows]
        wanted = [np.count_nonzero(case.entries.terms[live] == term) for term in case.query.terms]
        assert ranking.count(index, found, case.stop, tombstones).tolist() == wanted
        if case.stop == size:
            assert ranking.count(index, found, None, tombstones).tolist() == wanted


def test_idf_is_the_contracts() -> None:
    assert ranking.idf(8, np.array([4])) == pytest.approx([np.log(1 + 4.5 / 4.5)])
