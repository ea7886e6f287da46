"""Many processes on one folder: nothing lost, nothing twice, in order, and always fresh."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.errors import NotFoundError

from .processes import RemoteError, Worker, workers
from .worker import gap, vectors_of

WRITERS, READERS, BATCHES = 4, 4, 150


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "db"


@pytest.fixture
def shared(folder: Path) -> Iterator[Any]:
    """The collection "shared", held open by this process as well."""
    with chroma.PersistentClient(folder) as client:
        yield client.create_collection("shared", embedding_function=None)


@pytest.fixture
def other(folder: Path, shared: Any) -> Iterator[Worker]:
    """A second process that has the folder open and does what it is told."""
    with workers(1, "serve", folder) as [worker]:
        assert worker.hear() == "ready"
        yield worker


def test_writers_and_readers_at_once(folder: Path, shared: Any) -> None:
    with workers(READERS, "read", folder) as readers:
        assert [reader.hear() for reader in readers] == ["ready"] * READERS
        with workers(WRITERS, "write", folder, "w{}", BATCHES) as writers:
            written = [writer.hear() for writer in writers]
            assert [writer.end() for writer in writers] == [0] * WRITERS
        for reader in readers:
            reader.tell("stop")
        reports = [reader.hear() for reader in readers]
    assert [report["wrong"] for report in reports] == [None] * READERS
    assert all(report["reads"] > 0 for report in reports)
    got = shared.get()
    assert len(got["ids"]) == len(set(got["ids"])) == shared.count() == sum(written)
    assert gap(got["metadatas"]) is None
    last = [f"w{i}-{n - 1}" for i, n in enumerate(written)]
    assert shared.query(query_embeddings=vectors_of(last), n_results=1)["ids"] == [[id] for id in last]


def test_the_next_call_sees_another_processes_write(shared: Any, other: Worker) -> None:
    for n in range(30):
        vector = [float(n), 1.0]
        if n % 2:
            shared.add(ids=[f"r{n}"], embeddings=[vector])
            assert other.call("count") == n + 1
            assert other.call("query", query_embeddings=[vector], n_results=1)["ids"] == [[f"r{n}"]]
        else:
            other.call("add", ids=[f"r{n}"], embeddings=[vector])
            assert shared.count() == n + 1
            assert shared.query(query_embeddings=[vector], n_results=1)["ids"] == [[f"r{n}"]]
            assert shared.get(ids=[f"r{n}"])["ids"] == [f"r{n}"]


def test_updates_and_deletes_are_seen_as_well(shared: Any, other: Worker) -> None:
    shared.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"n": 1}, {"n": 2}])
    other.call("update", ids=["a"], metadatas=[{"n": 10, "m": 1}])
    assert shared.get(where={"n": 10})["metadatas"] == [{"n": 10, "m": 1}]
    shared.update(ids=["a"], metadatas=[{"m": None, "k": "x"}])
    assert other.call("get", ids=["a"])["metadatas"] == [{"n": 10, "k": "x"}]
    assert other.call("delete", ids=["a"]) == {"deleted": 1}
    assert shared.delete(ids=["a"]) == {"deleted": 0}
    assert shared.get()["ids"] == ["b"]
    shared.add(ids=["a"], embeddings=[[5, 6]])
    assert other.call("get")["ids"] == ["b", "a"]


def test_new_values_of_records_in_segments_are_seen_as_well(shared: Any, other: Worker) -> None:
    """Both processes give records new values, and compact, in turn."""
    ids = [f"r{i}" for i in range(60)]
    shared.add(ids=ids, embeddings=vectors_of(ids), metadatas=[{"n": 0}] * 60)
    shared.compact()
    expected = dict.fromkeys(ids, 0)
    for n in range(1, 7):
        some = ids[n : n + 10 * (n % 3) + 2]
        new = {"ids": some, "metadatas": [{"n": n}] * len(some)}
        other.call("update", **new) if n % 2 else shared.update(**new)
        expected |= dict.fromkeys(some, n)
        fresh = f"late{n}"
        shared.add(ids=[fresh], embeddings=vectors_of([fresh]), metadatas=[{"n": n}])
        expected[fresh] = n
        if n % 3 == 0:
            other.call("compact")
        for got in (shared.get(), other.call("get")):
            assert {
                id: entry["n"] for id, entry in zip(got["ids"], got["metadatas"], strict=True)
            } == expected
        having = [id for id, value in expected.items() if value == n]
        assert shared.get(where={"n": n})["ids"] == other.call("get", where={"n": n})["ids"] == having
        found = other.call(
            "query", query_embeddings=vectors_of(ids[:1]).tolist(), n_results=1, where={"n": n}
        )
        assert found["ids"][0][0] in having


def test_of_two_adds_of_one_id_the_first_wins(shared: Any, other: Worker) -> None:
    shared.add(ids=["a"], embeddings=[[1, 2]], documents=["mine"])
    other.call("add", ids=["a", "b"], embeddings=[[3, 4], [5, 6]], documents=["theirs", "theirs"])
    assert shared.get()["documents"] == ["mine", "theirs"]


def test_the_dimension_is_agreed_between_processes(shared: Any, other: Worker) -> None:
    shared.add(ids=["a"], embeddings=[[1, 2]])
    with pytest.raises(RemoteError, match="Collection expecting embedding with dimension of 2, got 3"):
        other.call("add", ids=["b"], embeddings=[[1, 2, 3]])
    assert shared.count() == 1


def test_compaction_in_one_process_disturbs_no_other(shared: Any, other: Worker) -> None:
    for n in range(5):
        ids = [f"{n}-{i}" for i in range(200)]
        shared.add(ids=ids, embeddings=vectors_of(ids))
        (other.call("compact") if n % 2 else shared.compact())
        other.call("delete", ids=ids[:50])
        assert shared.count() == other.call("count") == 150 * (n + 1)
        assert shared.get()["ids"] == other.call("get")["ids"]
        assert shared.query(query_embeddings=vectors_of(ids[60:61]), n_results=1)["ids"] == [[ids[60]]]


def test_collections_come_and_go_in_every_process(folder: Path, shared: Any, other: Worker) -> None:
    with chroma.PersistentClient(folder) as client:
        other.call("create_collection", on=None, name="theirs", embedding_function=None)
        theirs = client.get_collection("theirs")
        theirs.add(ids=["a"], embeddings=[[1, 2, 3]])
        assert other.call("count", on="theirs") == 1
        assert [c.name for c in client.list_collections()] == ["shared", "theirs"]
        with pytest.raises(RemoteError, match="UniqueConstraintError"):
            other.call("create_collection", on=None, name="shared")
        other.call("delete_collection", on=None, name="theirs")
        assert client.count_collections() == 1
        with pytest.raises(NotFoundError):
            theirs.count()
        with pytest.raises(NotFoundError):
            theirs.add(ids=["b"], embeddings=[[1, 2, 3]])
        other.call("modify", name="renamed")
        assert [c.name for c in client.list_collections()] == ["renamed"]
        assert shared.count() == 0


def test_a_dropped_collection_is_gone_from_an_open_handle_after_its_name_is_reused(
    folder: Path, shared: Any, other: Worker
) -> None:
    shared.add(ids=["a"], embeddings=[[1, 2]])
    other.call("delete_collection", on=None, name="shared")
    other.call("create_collection", on=None, name="shared", embedding_function=None)
    with pytest.raises(NotFoundError):
        shared.get()
    assert other.call("count") == 0


def in_a_fork(work: Any) -> int:
    """The exit code of a forked child that runs `work`; a child that hangs is ended by an alarm."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(30)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_can_open_the_folder_again(folder: Path, shared: Any) -> None:
    shared.add(ids=["parent"], embeddings=[[1, 2]])

    def work() -> None:
        with chroma.PersistentClient(folder) as client:
            collection = client.get_collection("shared")
            collection.add(ids=["child"], embeddings=[[3, 4]])
            assert collection.get()["ids"] == ["parent", "child"]
            assert collection.query(query_embeddings=[[3, 4]], n_results=1)["ids"] == [["child"]]

    assert in_a_fork(work) == 0
    shared.add(ids=["parent2"], embeddings=[[5, 6]])
    assert shared.get()["ids"] == ["parent", "child", "parent2"]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_inherited_handle_answers_right_or_says_so(folder: Path, shared: Any) -> None:
    shared.add(ids=["parent"], embeddings=[[1, 2]])

    def work() -> None:
        try:
            shared.add(ids=["child"], embeddings=[[3, 4]])
        except chroma.errors.ChromaError:
            return
        assert shared.get()["ids"] == ["parent", "child"]

    assert in_a_fork(work) == 0
    shared.add(ids=["parent2"], embeddings=[[5, 6]])
    assert shared.get()["ids"] in (["parent", "child", "parent2"], ["parent", "parent2"])
