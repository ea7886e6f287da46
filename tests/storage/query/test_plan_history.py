"""Graph back-off: how long a miss counts, for what, and what is forgotten."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.storage.filters.parser import parse
from chroma.storage.interface.requests import Selection
from chroma.storage.query import plan_history
from chroma.storage.query.plan_history import BACK_OFF, PlanHistory

LOW, HIGH = parse(Selection(where={"low": True})), parse(Selection(where={"low": False}))


def test_after_a_miss_so_many_searches_skip_the_graph() -> None:
    history = PlanHistory()
    assert not history.backs_off("a", LOW)
    history.missed("a", LOW)
    for _ in range(BACK_OFF):
        assert history.backs_off("a", parse(Selection(where={"low": True})))
        history.skipped("a", LOW)
    assert not history.backs_off("a", LOW)
    assert len(history) == 0


def test_a_miss_counts_for_its_segment_and_filter_only() -> None:
    history = PlanHistory()
    history.missed("a", LOW)
    assert not history.backs_off("b", LOW) and not history.backs_off("a", HIGH)
    history.skipped("b", LOW)
    assert len(history) == 1


def test_the_oldest_misses_are_forgotten_first() -> None:
    history = PlanHistory()
    history.missed("0", LOW)
    history.missed("1", LOW)
    history.missed("0", LOW)  # again: it is the newest now
    for number in range(2, plan_history._MOST + 1):
        history.missed(str(number), LOW)
    assert len(history) == plan_history._MOST
    assert history.backs_off("0", LOW) and not history.backs_off("1", LOW)


def test_threads_count_each_skipped_search() -> None:
    history = PlanHistory()
    history.missed("a", LOW)

    def skip() -> None:
        history.skipped("a", LOW)

    threads = [threading.Thread(target=skip) for _ in range(BACK_OFF + 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not history.backs_off("a", LOW) and len(history) == 0


def test_misses_are_dropped_with_their_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    vectors = np.random.default_rng(1).standard_normal((200, 8)).astype(np.float32)
    with chroma.PersistentClient(tmp_path) as client:
        made: Any = client.create_collection("things", embedding_function=None)
        made.add(ids=[str(row) for row in range(100)], embeddings=vectors[:100])
        made.compact()
        (held,) = made._backend.engine._open.values()
        history = held.plan_history
        (view,) = held.store.snapshot().views
        history.missed(view.source.name, LOW)
        made.add(ids=[str(row) for row in range(100, 200)], embeddings=vectors[100:])
        assert history.backs_off(view.source.name, LOW)
        made.compact()
        assert view.source.name not in [each.source.name for each in held.store.snapshot().views]
        assert len(history) == 0
