"""The memory budget: who is released, and that uses may be noted at any time."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import chroma
from chroma.storage.index import hnsw
from chroma.storage.memory_budget import DoesNotFit, MemoryBudget


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_the_least_recently_used_is_released() -> None:
    gone: list[str] = []
    budget = MemoryBudget(100)
    for name in ("a", "b", "c"):
        budget.hold(name, 40, lambda name=name: gone.append(name))  # type: ignore[misc]
        budget.touch("a")
    assert (gone, budget.used()) == (["b"], 80)
    budget.hold("c", 10, lambda: None)  # another size of the same
    assert budget.used() == 50
    budget.forget("a")
    budget.forget("unknown")
    assert budget.used() == 10


def test_one_alone_may_exceed_it() -> None:
    budget = MemoryBudget(100)
    budget.hold("large", 500, lambda: pytest.fail("it is in use"))
    assert budget.used() == 500


def test_room_is_made_before_it_is_taken() -> None:
    gone: list[str] = []
    budget = MemoryBudget(100)
    for name in ("a", "b"):
        budget.hold(name, 40, lambda name=name: gone.append(name))  # type: ignore[misc]
    assert budget.reserve("c", 50)
    assert (gone, budget.used()) == (["a"], 90)
    assert budget.reserve("c", 60)  # another size of the same
    assert (gone, budget.used()) == (["a"], 100)
    budget.hold("c", 30, lambda: gone.append("c"))  # it may be evicted from now on
    assert budget.used() == 70
    assert budget.reserve("d", 100)
    assert (gone, budget.used()) == (["a", "b", "c"], 100)
    assert not budget.reserve("e", 1)  # the room that is reserved stays
    budget.hold("f", 10, lambda: gone.append("f"))  # columns are in memory already
    assert budget.used() == 110
    budget.forget("d")
    assert budget.reserve("e", 90) and gone == ["a", "b", "c"] and budget.used() == 100


def test_more_than_the_limit_never_fits() -> None:
    gone: list[str] = []
    budget = MemoryBudget(100)
    budget.hold("a", 40, lambda: gone.append("a"))
    with pytest.raises(DoesNotFit) as caught:
        budget.reserve("b", 101)
    assert (caught.value.size, gone, budget.used()) == (101, [], 40)


def test_what_must_stay_stays() -> None:
    budget = MemoryBudget(100)
    budget.hold("memory", 80, None)
    with pytest.raises(DoesNotFit) as caught:  # waiting for room would have no end
        budget.reserve("a", 30)
    assert (caught.value.size, caught.value.kept) == (30, 80)
    assert budget.reserve("a", 20) and budget.used() == 100
    budget.forget("memory")
    assert budget.used() == 20


def test_two_that_wait_for_room_do_not_wait_for_each_other() -> None:
    budget = MemoryBudget(100)
    assert budget.reserve("a", 30) and budget.reserve("b", 30)
    assert not budget.reserve("a", 80)
    assert budget.used() == 30  # what a had is given up
    assert budget.reserve("b", 80)
    assert not budget.reserve("a", 80)
    budget.forget("b")
    assert budget.reserve("a", 80) and budget.used() == 80


def test_uses_are_noted_while_others_hold(restless: None) -> None:
    budget = MemoryBudget(1 << 40)
    names = [f"n{number}" for number in range(200)]
    for name in names:
        budget.hold(name, 1, lambda: None)
    done = threading.Event()

    def use() -> None:
        while not done.is_set():
            for name in names:
                budget.touch(name)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(2000):
            budget.hold(names[number % len(names)], number, lambda: None)
            budget.used()
    finally:
        done.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize(("dimension", "neighbors"), [(8, 16), (64, 16), (64, 32)])
def test_a_graph_is_as_large_as_it_says(dimension: int, neighbors: int) -> None:
    """What hnswlib keeps beside the arrays of its state is small: locks, pointers, a table of labels."""
    vectors = np.random.default_rng(0).standard_normal((2000, dimension), np.float32)
    data = hnsw.build(
        "cosine", vectors, projection=None, neighbors=neighbors, ef_construction=20, threads=1,
        stopped=lambda: False,
    )  # fmt: skip
    assert data is not None
    graph = hnsw.opened(data, vectors)
    assert graph is not None
    arrays = [value for value in graph._index.__getstate__()[0].values() if isinstance(value, np.ndarray)]
    held = sum(array.nbytes for array in arrays)
    assert held <= graph.nbytes <= held + 110 * len(vectors)


def test_answers_of_filters_count(tmp_path: Path) -> None:
    """Those of a whole segment, and those without its deleted rows."""
    with chroma.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(
            ids=[f"r{i}" for i in range(2000)],
            embeddings=np.ones((2000, 2)),
            metadatas=[{"n": i} for i in range(2000)],
        )
        things.compact()
        things.delete(ids=["r7"])
        budget = client._backend.engine.services.budget
        things.count(where={"n": {"$gt": 0}})
        before = budget.used()
        for least in range(1, 11):
            things.count(where={"n": {"$gt": least}})
        answers = 2 * sum(2000 + 250 + 8 * (1999 - least) for least in range(1, 11))
        assert answers - 200 <= budget.used() - before <= answers + 200
        held = client._backend.engine.collection(things.tenant, things.database, str(things.id))
        held.store.filters._forget_allowed()
        things.count(where={"n": {"$gt": 1}})
        assert budget.used() - before < 0.7 * answers
        held.store.filters.release()
        assert budget.used() < before
