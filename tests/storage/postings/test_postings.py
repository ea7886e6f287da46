"""Postings: built from entries, given back as them, and checked when they come from a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma.storage.native import kernel
from chroma.storage.postings import postings
from chroma.storage.postings.postings import Postings
from chroma.storage.schema.sparse_entries import Entries


def sample(seed: int = 0, rows: int = 300) -> Entries:
    random = np.random.default_rng(seed)
    some = random.integers(0, rows, 2_000).astype(np.uint64), random.integers(0, 97, 2_000).astype(np.uint64)
    pairs = np.unique(some[0] << np.uint64(32) | some[1] * np.uint64(44_000_000))
    values = random.standard_normal(len(pairs)).astype(np.float32)
    return Entries(
        (pairs >> np.uint64(32)).astype(np.uint32), (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32), values
    )


def same(one: Any, other: Any) -> bool:
    pairs = [(a, b) for a, b in zip(one, other) if isinstance(a, np.ndarray)]
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_entries_survive() -> None:
    entries = sample()
    index = postings.build(entries)
    postings.checked(index, 300)
    assert same(postings.entries_of(index), entries)
    assert index.most[0] == np.abs(index.values[: index.starts[1]]).max()


def test_the_twin_builds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    built = postings.build(sample())
    monkeypatch.setattr(kernel, "postings", None)
    assert same(postings.build(sample()), built)


def test_nothing() -> None:
    none = Entries(np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.float32))
    index = postings.build(none)
    postings.checked(index, 5)
    assert len(index.terms) == 0 and index.starts.tolist() == [0]


def spoiled() -> list[tuple[str, Postings]]:
    good = postings.build(sample())

    def changed(column: str, at: int, by: Any) -> Postings:
        array = getattr(good, column).copy()
        array[at] = by
        return good._replace(**{column: array})

    return [
        ("a row beyond the segment", changed("rows", -1, 300)),
        ("rows that do not ascend", changed("rows", 1, 0)),
        ("terms that do not ascend", changed("terms", 1, 0)),
        ("a start beyond the next", changed("starts", 1, 10_000)),
        ("a negative start", changed("starts", 0, -1)),
        ("a wrong end", changed("starts", -1, len(good.rows) - 1)),
        ("a value that is no number", changed("values", 3, np.nan)),
        ("a bound that is no number", changed("most", 0, np.inf)),
        ("a negative bound", changed("most", 0, -1)),
        ("too few values", good._replace(values=good.values[1:])),
        ("too few bounds", good._replace(most=good.most[1:])),
        ("too few starts", good._replace(starts=good.starts[:-1])),
        ("lengths of other rows", good._replace(lengths=np.ones(299, np.uint32))),
    ]


@pytest.mark.parametrize(("_what", "index"), spoiled())
@pytest.mark.parametrize("compiled", [True, False])
def test_postings_that_cannot_be_are_refused(
    _what: str, index: Postings, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(kernel, "postings", None)
    with pytest.raises(ValueError):
        postings.checked(index, 300)


@pytest.mark.parametrize("name", ["best", "scores", "order", "sound"])
def test_the_compiled_functions_refuse_other_arguments(name: str) -> None:
    function = getattr(kernel.postings, name)
    with pytest.raises(TypeError):
        function()
    counts = {"best": 14, "scores": 10, "order": 2, "sound": 4}
    with pytest.raises((TypeError, ValueError)):
        function(*[None] * counts[name])


def test_a_term_that_is_not_there_is_refused() -> None:
    index = postings.build(sample())
    rows, scores = np.empty(3, np.int64), np.empty(3, np.float64)
    for picked in ([-1], [len(index.terms)]):
        arguments = index.starts, index.rows, index.values, None, None, np.array(picked), np.ones(1)
        with pytest.raises(IndexError):
            kernel.postings.best(*arguments, np.ones(1), 300, None, None, rows, scores, False)  # type: ignore[union-attr]
    short = np.ones(2, np.bool_)
    arguments = index.starts, index.rows, index.values, None, None, np.array([0]), np.ones(1)
    with pytest.raises(ValueError, match="lengths they need"):
        kernel.postings.best(*arguments, np.ones(1), 300, short, None, rows, scores, False)  # type: ignore[union-attr]
