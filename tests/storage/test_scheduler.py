"""Jobs run when they are due, and only then are threads woken."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from chroma.storage.scheduler import Scheduler

PATIENCE = 30.0


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    made = Scheduler()
    yield made
    made.close()


def _count_wakes(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    wakes: list[int] = []
    original = scheduler._condition.notify_all

    def notify_all() -> None:
        wakes.append(1)
        original()

    monkeypatch.setattr(scheduler._condition, "notify_all", notify_all)
    return wakes


def test_a_job_that_is_put_off_wakes_no_thread(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    wakes = _count_wakes(scheduler, monkeypatch)
    for _ in range(100):
        scheduler.submit("index", "a", lambda: None, 600.0, push=True)
    assert len(wakes) == 1
    scheduler.submit("index", "b", lambda: None, 900.0)  # another one, which the thread has to know
    assert len(wakes) == 2


def test_a_job_that_is_put_off_runs_once_at_its_last_time(scheduler: Scheduler) -> None:
    ran: list[tuple[int, float]] = []
    done = threading.Event()

    def job(number: int) -> None:
        ran.append((number, time.monotonic()))
        done.set()

    for number in range(5):
        scheduler.submit("index", "a", lambda number=number: job(number), 0.3, push=True)
    last = time.monotonic()
    assert done.wait(PATIENCE)
    scheduler.wait("index", "a")
    assert [number for number, _ in ran] == [4] and ran[0][1] >= last + 0.2


def test_a_job_that_is_due_sooner_wakes_the_thread(scheduler: Scheduler) -> None:
    done = threading.Event()
    scheduler.submit("index", "a", lambda: None, 600.0)
    time.sleep(0.05)  # the thread waits
    scheduler.submit("index", "a", done.set, 0.0, push=True)
    assert done.wait(PATIENCE)
