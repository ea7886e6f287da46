"""Distances: one number per pair, and exact nearest rows whatever the scale."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

from chroma.storage.native import kernel
from chroma.storage.segments.segment import squared_norms
from chroma.storage.vectors import distance

SPACES: Any = ["l2", "cosine", "ip"]


@pytest.fixture(autouse=True, params=["compiled", "numpy"])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here is of both twins."""
    if request.param == "numpy":
        monkeypatch.setattr(kernel, "compiled", None)


def _brute(space: str, query: Any, vectors: Any) -> Any:
    a, q = vectors.astype(np.float64), query.astype(np.float64)
    if space == "l2":
        return ((a - q) ** 2).sum(axis=1)
    dots = a @ q
    if space == "ip":
        return 1 - dots
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(q)
    return 1 - np.divide(dots, lengths, out=np.zeros_like(dots), where=lengths > 0)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    "scale,shift", [(1, 0), (1e-3, 100.0), (1e-2, 3e4), (1e15, 0), (1e-20, 0), (1e19, 0), (1e-25, 0)]
)
def test_nearest_is_exact_where_float32_products_are_not(space: Any, scale: float, shift: float) -> None:
    rng = np.random.default_rng(1)
    vectors = (rng.standard_normal((2000, 32)) * scale + shift).astype(np.float32)
    query = (rng.standard_normal(32) * scale + shift).astype(np.float32)
    with np.errstate(over="ignore"):
        norms = squared_norms(vectors)
    rows, distances = distance.nearest(space, query, vectors, norms=norms, rows=None, k=10)
    with np.errstate(over="ignore"):
        right = np.sort(_brute(space, query, vectors).astype(np.float32))[:10]
    assert np.allclose(distances, right, rtol=1e-6, atol=1e-7)
    assert len(set(rows.tolist())) == 10


@pytest.mark.parametrize("space", SPACES)
def test_a_pair_has_one_distance_whatever_rows_are_around_it(space: Any) -> None:
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((301, 37)).astype(np.float32)
    query = rng.standard_normal(37).astype(np.float32)
    whole = distance.exact(space, query, vectors)
    singles = np.concatenate([distance.exact(space, query, vectors[row : row + 1]) for row in range(301)])
    assert np.array_equal(whole, singles)


def test_a_zero_vector_has_cosine_distance_one() -> None:
    vectors = np.array([[0, 0], [1, 0]], np.float32)
    assert distance.exact("cosine", np.array([1, 0], np.float32), vectors).tolist() == [1, 0]
    assert distance.exact("cosine", np.array([0, 0], np.float32), vectors).tolist() == [1, 1]


def test_only_the_rows_asked_for_are_compared_and_ties_fall_by_row() -> None:
    vectors = np.zeros((2000, 4), np.float32)
    rows = np.arange(1, 2000, 2)
    found, distances = distance.nearest(
        "l2", np.zeros(4, np.float32), vectors, norms=np.zeros(2000, np.float32), rows=rows, k=5
    )
    assert found.tolist() == [1, 3, 5, 7, 9] and distances.tolist() == [0] * 5


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
@pytest.mark.parametrize("some", [False, True])
def test_many_queries_are_answered_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch, space: Any, some: bool
) -> None:
    random = np.random.default_rng(6)
    vectors = random.standard_normal((400, 24)).astype(np.float32)
    vectors[7], vectors[50:60] = 0, vectors[3]
    queries = np.concatenate([vectors[:5], random.standard_normal((9, 24)), np.zeros((1, 24))]).astype(
        np.float32
    )
    norms = np.einsum("ij,ij->i", vectors, vectors)
    rows = np.flatnonzero(random.random(400) < 0.7) if some else None
    expected = [distance.nearest(space, query, vectors, norms=norms, rows=rows, k=12) for query in queries]
    for products in (distance._PRODUCTS, 400 * 4, 1):
        monkeypatch.setattr(distance, "_PRODUCTS", products)
        found = distance.nearest_lines(space, queries, vectors, norms=norms, rows=rows, k=12)
        for (ids, distances), (right_ids, right) in zip(found, expected, strict=True):
            assert np.array_equal(ids, right_ids) and np.array_equal(distances, right)


class Counted:
    """A lock that counts how often it was taken."""

    def __init__(self) -> None:
        self.times = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()
        self.times += 1

    def __exit__(self, *_: object) -> None:
        self._lock.release()


@pytest.mark.parametrize(
    ("count", "dimension", "step", "times"),
    [(1000, 384, 1, 0), (2000, 384, 1, 1), (900, 1536, 3, 0), (4000, 128, 3, 0)],
)
def test_large_products_are_made_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, count: int, dimension: int, step: int, times: int
) -> None:
    """Side by side they would spin for the same cores. The compiled scan makes none."""
    lock = Counted()
    times = times if kernel.compiled is None else 0
    monkeypatch.setattr(distance, "_whole", lock)
    vectors = np.random.default_rng(0).standard_normal((count, dimension), np.float32)
    rows = None if step == 1 else np.arange(0, count, step)  # scattered rows take no product
    found, _ = distance.nearest("l2", vectors[0], vectors, norms=(vectors**2).sum(axis=1), rows=rows, k=3)
    assert found[0] == 0 and lock.times == times


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("count", [10, 300, 3000])
def test_the_kernel_alone_and_a_product_first_find_the_same(
    monkeypatch: pytest.MonkeyPatch, space: Any, known: bool, count: int
) -> None:
    random = np.random.default_rng(count)
    vectors = random.standard_normal((count, 24)).astype(np.float32)
    vectors[count // 2] = vectors[1]
    norms = (vectors**2).sum(axis=1)
    lengths = distance.lengths(vectors) if known else None
    for rows in (None, np.flatnonzero(random.random(count) < 0.2), np.arange(count // 2)):
        answers = []
        for few in (0, 1 << 40):
            monkeypatch.setattr(distance, "_FEW", few)
            answers.append(
                distance.nearest(space, vectors[1], vectors, norms=norms, rows=rows, k=7, lengths=lengths)
            )
            lines = distance.nearest_lines(
                space, vectors[1:4], vectors, norms=norms, rows=rows, k=7, lengths=lengths
            )
            answers.append(lines[0])
        for ids, distances in answers[1:]:
            assert np.array_equal(ids, answers[0][0]) and np.array_equal(distances, answers[0][1])


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dimension", [1, 15, 16, 31, 33, 64, 100, 384])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-16, 1e16])
def test_a_scan_finds_what_the_exact_kernel_finds(space: Any, dimension: int, scale: float) -> None:
    if kernel.compiled is None:
        pytest.skip("compares two compiled functions")
    random = np.random.default_rng(dimension)
    vectors = (random.standard_normal((500, dimension)) * scale).astype(np.float32)
    vectors[40:60] = vectors[40]  # ties
    vectors[61], vectors[300:] = 0, vectors[300:] * random.choice([1e-3, 1, 1e2], (200, 1))
    squares = squared_norms(vectors)
    for rows in (None, np.flatnonzero(random.random(500) < 0.3), np.arange(40, 64)):
        for query in (vectors[40], vectors[61], vectors[499]):
            count = 500 if rows is None else len(rows)
            for k in (1, 7, count - 1):
                found, distances = np.empty(k, np.int64), np.empty(k, np.float32)
                kernel.compiled.scan(space, query, vectors, rows, None, squares, found, distances)
                every = np.arange(500) if rows is None else rows
                right = distance.exact(space, query, vectors, every)
                order = np.lexsort((every, right))[:k]
                assert np.array_equal(distances, right[order])
                if space != "ip":  # among rows whose distance rounds to 1, products tell which are nearer
                    assert np.array_equal(found, every[order])


def test_a_scan_refuses_arrays_that_do_not_fit() -> None:
    if kernel.compiled is None:
        pytest.skip("of the compiled part")
    scan = kernel.compiled.scan
    vectors, found, distances = np.ones((9, 4), np.float32), np.empty(3, np.int64), np.empty(3, np.float32)
    squares, query = np.ones(9, np.float32), np.ones(4, np.float32)
    scan("l2", query, vectors, None, None, squares, found, distances)
    for wrong in (
        ("l2", query, vectors, None, None, squares[:8], found, distances),
        ("l2", query[:3], vectors, None, None, squares, found, distances),
        ("l2", query, vectors, None, None, squares, found, distances[:2]),
        ("l2", query, vectors, np.arange(2), None, squares, found, distances),
        ("l2", query, vectors, None, None, squares, found[:0], distances[:0]),
        ("near", query, vectors, None, None, squares, found, distances),
    ):
        with pytest.raises(ValueError):
            scan(*wrong)
    with pytest.raises(IndexError):
        scan("l2", query, vectors, np.array([0, 1, 9]), None, squares, found, distances)
    with pytest.raises(TypeError):
        scan("l2", query, vectors, None, None, squares.astype(np.float64), found, distances)


def test_every_instruction_set_finds_the_same() -> None:
    script = (
        "import numpy as np\n"
        "from chroma.storage.vectors import distance\n"
        "vectors = np.random.default_rng(0).standard_normal((900, 100)).astype(np.float32)\n"
        "norms = np.einsum('ij,ij->i', vectors, vectors)\n"
        "for query in vectors[:20]:\n"
        "    rows, far = distance.nearest('cosine', query, vectors, norms=norms, rows=None, k=30)\n"
        "    print(rows.tolist(), far.tolist())\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "CHROMA_PLAIN_CODES": plain},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for plain in ("0", "1", "2")
    }
    assert len(found) == 1
