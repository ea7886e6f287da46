"""Reading, embedding and writing overlap, with few parts in memory; they end together."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import chroma
from chroma.errors import InvalidArgumentError
from chroma.internal import progress
from chroma.pipelines import pace, stages
from chroma.pipelines.prefetch import Ahead

from ...support.tiny_embedding import HashEmbedding

PATIENCE = 20.0


def batches(parts: int, rows: int = 2, seen: list[int] | None = None) -> Iterator[pa.RecordBatch]:
    for part in range(parts):
        if seen is not None:
            seen.append(part)
        ids = [f"{part}-{row}" for row in range(rows)]
        yield pa.RecordBatch.from_pydict({"id": ids, "document": ids})


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("chroma-load")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert threads() == []


class Slow(HashEmbedding):
    """Waits until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, input: Any) -> Any:
        self.begun.set()
        assert self.go.wait(PATIENCE)
        return super().__call__(input)


@pytest.fixture
def client() -> Iterator[Any]:
    with chroma.EphemeralClient(private=True) as client:
        yield client


def test_reading_goes_on_while_one_part_is_embedded_and_no_further(client: Any) -> None:
    function, seen = Slow(), list[int]()
    things = client.create_collection("things", embedding_function=function)
    done: list[Any] = []
    worker = threading.Thread(target=lambda: done.append(things.load(batches(50, 10, seen), batch_size=10)))
    worker.start()
    assert function.begun.wait(PATIENCE)
    most = 3 + 2 * stages._DEPTH  # one is embedded, one converted, one read, and some wait
    for _ in range(200):
        if len(seen) >= 3:
            break
        threading.Event().wait(0.01)
    assert 3 <= len(seen) <= most
    assert done == [] and things.count() == 0
    function.go.set()
    worker.join(PATIENCE)
    assert (done[0].added, len(seen)) == (500, 50)


def test_writing_goes_on_while_the_next_part_is_embedded(client: Any) -> None:
    """The second part is embedded only when the first is stored: in order, without a part at a time this
    would never end."""
    things = client.create_collection("things", embedding_function=None)

    class Waits(HashEmbedding):
        def __call__(self, input: Any) -> Any:
            if len(self.calls) == 2:
                for _ in range(2000):
                    if things.count() >= 2:
                        break
                    threading.Event().wait(0.01)
                assert things.count() >= 2
            return super().__call__(input)

    chosen = client.get_collection("things", embedding_function=Waits())
    assert chosen.load(batches(4), batch_size=2).added == 8


def test_few_parts_are_in_memory(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the writer is."""
    things = client.create_collection("things", embedding_function=HashEmbedding())
    seen: list[int] = []
    ahead = []
    from chroma.pipelines.load import Load

    checkpoint = Load.checkpoint

    def slowly(self: Any, ready: Any) -> None:
        threading.Event().wait(0.02)
        ahead.append(len(seen) * 10 - things.count())
        checkpoint(self, ready)

    monkeypatch.setattr(Load, "checkpoint", slowly)
    things.load(batches(40, 10, seen), batch_size=10)
    assert max(ahead) <= 10 * (3 * stages._DEPTH + 4)


@pytest.mark.parametrize("place", ["read", "embed", "transform"])
def test_errors_come_as_they_are(client: Any, place: str) -> None:
    class Odd(Exception):
        pass

    def source() -> Iterator[pa.RecordBatch]:
        yield from batches(3)
        raise Odd("read")

    class Fails(HashEmbedding):
        def __call__(self, input: Any) -> Any:
            if place == "embed" and "1-0" in input:
                raise Odd("embed")
            return super().__call__(input)

    def change(part: Any) -> Any:
        if place == "transform" and "1-0" in part["id"].to_pylist():
            raise Odd("transform")
        return part

    things = client.create_collection("things", embedding_function=Fails())
    with pytest.raises(Odd, match=place):
        things.load(source() if place == "read" else batches(3), batch_size=2, transform=change)
    assert set(things.get()["ids"]) <= {"0-0", "0-1", "1-0", "1-1", "2-0", "2-1"}


def test_without_a_function(client: Any) -> None:
    things = client.create_collection("things", embedding_function=None)
    with pytest.raises(InvalidArgumentError, match="You must provide an embedding function"):
        things.load(batches(1))


@pytest.mark.parametrize("where", ["begin", "checkpoint", "next"])
def test_ctrl_c(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Threads end, what was done is noted, and the same call goes on."""
    from chroma.pipelines.load import Load

    monkeypatch.setattr(pace, "_MOST_TEXTS", 1)
    method, calls = getattr(Load, where), []

    def interrupted(self: Any, *arguments: Any) -> Any:
        calls.append(where)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return method(self, *arguments)

    with chroma.PersistentClient(tmp_path / "db") as client:
        things = client.create_collection("things", embedding_function=HashEmbedding())
        with monkeypatch.context() as patch:
            patch.setattr(Load, where, interrupted)
            with pytest.raises(KeyboardInterrupt):
                things.load(batches(20), batch_size=2, job="twenty")
        assert threads() == []
        assert [path.suffix for path in (tmp_path / "db" / "loads").iterdir()] == [".json"]
        report = things.load(batches(20), batch_size=2, job="twenty")
        assert (report.rows, report.added) == (40, 40)
        assert 0 < report.resumed < 40
        assert not (tmp_path / "db" / "loads").exists()


def test_an_interrupt_does_not_wait_for_all_of_a_part(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_MOST_TEXTS", 1)
    calls = []

    class Ends(HashEmbedding):
        def __call__(self, input: Any) -> Any:
            calls.append(input)
            if len(calls) == 3:
                running[0]._ended.set()
            return super().__call__(input)

    things = client.create_collection("things", embedding_function=Ends())
    running: list[Any] = []
    begin = stages.Feed.__init__

    def keep(self: Any, *arguments: Any) -> None:
        running.append(self)
        begin(self, *arguments)

    monkeypatch.setattr(stages.Feed, "__init__", keep)
    with pytest.raises(InterruptedError):
        things.load(batches(1, 1000))
    assert len(calls) == 3


def test_ahead_ends_with_its_reader() -> None:
    closed = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    items = Ahead(endless(), 2, "chroma-load-test")
    assert next(items) == 1
    items.close()
    items.close()
    assert closed == [True]
    assert list(items) == []


def test_the_bar(client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Rows, all of them, the rate and the time that is left."""
    monkeypatch.setattr("sys.stderr", shown := io.StringIO())
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    things = client.create_collection("things", embedding_function=HashEmbedding())
    things.load(batches(5))
    assert shown.getvalue() == ""
    held = pa.Table.from_batches(batches(1, 3000))
    pa.parquet.write_table(held, tmp_path / "a.parquet")
    things.load(tmp_path / "a.parquet", progress=True, batch_size=1000, on_conflict="skip")
    text = shown.getvalue()
    assert "things: 100%" in text and "3.00k/3.00k" in text and "rows/s" in text and "<00:00" in text
    shown.truncate(0)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"id": "n{n}", "document": "x"}}\n' for n in range(3000)))
    things.load(path, progress=True, batch_size=1000)
    assert "3.00k/3.00k" in shown.getvalue() and "rows/s" in shown.getvalue()


def test_no_bar_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client of a server is installed without it."""
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert progress.bar(None, "things") is None
    with pytest.raises(InvalidArgumentError, match="pip install tqdm"):
        progress.bar(True, "things", option="progress=True")


def test_vectors_stay_as_they_are(client: Any) -> None:
    vectors = np.arange(80, dtype=np.float32)
    table = pa.table(
        {"id": [str(n) for n in range(20)], "embedding": pa.FixedSizeListArray.from_arrays(vectors, 4)}
    )
    things = client.create_collection("things", embedding_function=None)
    things.load(table)
    assert np.array_equal(things.get(include=["embeddings"])["embeddings"], vectors.reshape(20, 4))
