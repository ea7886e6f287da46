"""An interrupt between any two steps of a write leaves no lock held, nobody waiting, and nothing lost."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import chroma


def interrupted(step: int, job: Callable[[], Any]) -> bool:
    """Raise KeyboardInterrupt where Python would handle a signal, at the entry of a function or the return of
    a native one, the `step`-th time. Whether the job got as far."""
    left = step

    def look(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        if event in ("call", "c_return"):
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        job()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return left <= 0


def in_time(job: Callable[[], Any]) -> None:
    """The job in a thread of its own, which ends."""
    thread = threading.Thread(target=job, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.parametrize("place", ["disk", "memory"])
@pytest.mark.parametrize("what", ["add", "update", "delete"])
def test_an_interrupt_anywhere_in_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, place: str
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # it may come while a generator is closed
    client = chroma.PersistentClient(tmp_path) if place == "disk" else chroma.EphemeralClient()
    things = client.create_collection(f"interrupted-{what}", embedding_function=None)
    things.add(ids=["0"], embeddings=[[0, 0]], metadatas=[{"n": 0}])
    jobs: dict[str, Callable[[int], Any]] = {
        "add": lambda n: things.add(ids=[f"i{n}"], embeddings=[[n, 1]], metadatas=[{"n": n}]),
        "update": lambda n: things.update(ids=["0"], metadatas=[{"n": n}]),
        "delete": lambda n: things.delete(ids=[f"a{n - 1}"]),
    }
    steps = 0
    for steps in itertools.count(1):
        if not interrupted(steps, lambda n=steps: jobs[what](n)):  # type: ignore[misc]
            break
        in_time(lambda n=steps: things.add(ids=[f"a{n}"], embeddings=[[n, 2]]))  # type: ignore[misc]
        assert things.get(ids=[f"a{steps}"])["ids"]
    assert steps > 100
    seen = things.get()["ids"]
    if what != "delete":
        assert {f"a{n}" for n in range(1, steps)} <= set(seen)
    client.close()
    if place == "disk":
        with chroma.PersistentClient(tmp_path) as again:
            assert again.get_collection(things.name).get()["ids"] == seen
