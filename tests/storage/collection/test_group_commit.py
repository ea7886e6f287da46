"""Writers that wait for each other are committed as one batch, and hear of their own outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import InvalidArgumentError
from chroma.storage.collection.group_commit import Call, CommitQueue, joinable, joined
from chroma.storage.collection.record_store import RecordStore
from chroma.storage.interface.values import EncodedMetadata, Mode, Records, Written


def records(*ids: str, dimension: int = 2, **columns: Any) -> Records:
    return Records(list(ids), np.ones((len(ids), dimension), np.float32), **columns)


def run(jobs: list[Callable[[], Any]]) -> list[Any]:
    """The jobs in a thread each: what they return or raise."""
    out: list[Any] = [None] * len(jobs)

    def one(number: int) -> None:
        try:
            out[number] = jobs[number]()
        except BaseException as error:
            out[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return out


class Held(RecordStore):
    """A store whose leader waits, at its first time, until some more calls wait behind it; then what it does
    with the group is the test's."""

    def __init__(self, more: int, outcome: Callable[[list[Call]], None]) -> None:
        self.groups: list[list[str]] = []
        self.more, self.outcome = more, outcome
        self._queue = CommitQueue()
        self._owner_waits = False

    def _lead(self, call: Call) -> None:
        try:
            while not self.groups and len(self._queue._waiting) < self.more:
                pass
            group = self._queue.take(call)
            self.groups.append([id for each in group for id in each.records.ids])
            self.outcome(group)
        except BaseException as error:
            self._queue.finish(call, error)
        else:
            self._queue.finish(call)

    def writer(self, *ids: str, mode: Mode = "add", **more: Any) -> Callable[[], Any]:
        return lambda: self.write(mode, records(*ids, **more))


def succeed(group: list[Call]) -> None:
    for call in group:
        call.written = Written(len(call.records.ids))


def test_what_waits_goes_together() -> None:
    held = Held(8, succeed)
    out = run([held.writer(*(f"{number}-{row}" for row in range(number + 1))) for number in range(8)])
    assert out == [Written(number + 1) for number in range(8)]
    assert len(held.groups) == 1 and len(held.groups[0]) == 36


def test_an_error_of_the_batch_reaches_all_of_it() -> None:
    def fail(group: list[Call]) -> None:
        raise OSError("full")

    held = Held(4, fail)
    assert [type(each) for each in run([held.writer(str(n)) for n in range(4)])] == [OSError] * 4


def test_an_interrupted_leader_does_not_take_others_along() -> None:
    def interrupted(group: list[Call]) -> None:
        succeed(group)  # committed, and not synced yet
        if len(held.groups) == 1:
            raise KeyboardInterrupt

    held = Held(4, interrupted)
    out = run([held.writer(str(n)) for n in range(4)])
    assert sorted(map(str, map(type, out))) == [str(KeyboardInterrupt), *[str(Written)] * 3]
    assert sorted(held.groups[0]) == list("0123")
    assert len([id for group in held.groups[1:] for id in group]) == 3


@pytest.mark.parametrize("place", ["finish", "_pass_on", "joinable"])
def test_an_interruption_anywhere_leaves_no_one_waiting(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    from chroma.storage.collection import group_commit as module

    held = Held(3, succeed)
    owner: Any = module if place == "joinable" else CommitQueue
    right, hit = getattr(owner, place), threading.Lock()

    def once(*arguments: Any) -> Any:
        if hit.acquire(blocking=False):
            raise KeyboardInterrupt
        return right(*arguments)

    monkeypatch.setattr(owner, place, once)
    out = run([held.writer(str(n)) for n in range(6)])
    kinds = [type(each) for each in out]
    assert kinds.count(KeyboardInterrupt) == 1 and kinds.count(Written) == 5
    assert held._queue._leader is None and not held._queue._waiting


def test_only_what_fits_is_joined() -> None:
    first = Call("add", records("a"))
    assert joinable([first, Call("add", records("b"))])[1:]
    for other in (
        Call("upsert", records("b")),
        Call("add", records("a")),
        Call("add", records("b", dimension=3)),
        Call("add", Records(["b"])),
        Call("add", records(*map(str, range(257)))),
        Call("add", records("b", metadatas=EncodedMetadata(["{}"], None))),
        Call("update", records("b", has_embedding=np.array([True]))),
    ):
        assert joinable([first, other, Call("add", records("c"))]) == [first]
        assert joinable([other, first]) == [other]


def test_columns_that_are_not_given_stay_so() -> None:
    whole = joined(
        [Call("add", records("a", documents=["x"])), Call("add", records("b", metadatas=[{"n": 1}]))]
    )
    assert (whole.ids, whole.documents, whole.metadatas, whole.uris) == (
        ["a", "b"],
        ["x", None],
        [None, {"n": 1}],
        None,
    )
    assert whole.embeddings is not None and whole.embeddings.shape == (2, 2)


@pytest.mark.parametrize("place", ["disk", "memory"])
def test_each_thread_hears_of_its_own_call(tmp_path: Path, place: str) -> None:
    client: Any = chroma.PersistentClient(tmp_path) if place == "disk" else chroma.EphemeralClient()
    things = client.get_or_create_collection(f"together-{place}", embedding_function=None)
    things.add(ids=["old"], embeddings=[[0, 0]], metadatas=[{"n": 0, "kept": True}])

    def writer(number: int) -> Callable[[], Any]:
        def write() -> list[Any]:
            wrong = []
            for turn in range(20):
                things.add(ids=[f"{number}-{turn}"], embeddings=[[number, turn]], documents=[f"text {turn}"])
                things.add(ids=["same"], embeddings=[[number, turn]])
                things.upsert(ids=["old"], embeddings=[[1, 1]], metadatas=[{"n": number}])
                try:
                    things.add(ids=[f"bad-{number}-{turn}"], embeddings=[[1, 2, 3]])
                except InvalidArgumentError as error:
                    wrong.append(str(error))
                things.update(
                    ids=[f"{number}-{turn}", "nobody"],
                    documents=[f"new {turn}", "x"],
                    embeddings=[[7, 7]] * 2,
                )
            return wrong

        return write

    for wrong in run([writer(number) for number in range(8)]):
        assert len(wrong) == 20
    found = things.get(include=["documents", "metadatas"])
    assert sorted(found["ids"]) == sorted(["old", "same", *(f"{n}-{t}" for n in range(8) for t in range(20))])
    texts = dict(zip(found["ids"], found["documents"]))
    assert all(texts[f"{n}-{t}"] == f"new {t}" for n in range(8) for t in range(20))
    assert found["metadatas"][0]["kept"] is True
    client.close()
    if place == "disk":
        with chroma.PersistentClient(tmp_path) as again:
            assert again.get_collection(f"together-{place}").get()["ids"] == found["ids"]
