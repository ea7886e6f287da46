"""Ctrl-C in a load that embeds: it ends soon, keeps what was done, and the same call goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import chroma
from chroma.pipelines import prefetch
from chroma.pipelines.pace import Pace
from chroma.pipelines.prefetch import Ahead, close_all

from ...crash.processes import environment
from ...support.tiny_embedding import HashEmbedding, vector_of

ROWS = 3000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "texts.parquet"
    pq.write_table(
        pa.table({"id": [f"i{n}" for n in range(ROWS)], "document": [f"text {n}" for n in range(ROWS)]}), path
    )
    return path


def loading(tmp_path: Path, source: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.chroma.pipelines.interrupted", str(tmp_path / "db"), str(source)]
    return subprocess.Popen(
        [*command, str(seconds)],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_a_load_and_a_second_one_aborts_nothing(tmp_path: Path, source: Path) -> None:
    """All texts would take a minute, and a part of 1,000 rows 20 seconds."""
    stored = 0
    for again in (None, 0.02):
        process = loading(tmp_path, source, 0.02)
        assert process.stdout is not None
        for _ in range(3):
            assert process.stdout.readline() == "begun\n"
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        if again is not None:
            time.sleep(again)
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert time.monotonic() - begun < prefetch._PATIENCE
        assert process.returncode == -signal.SIGINT and "KeyboardInterrupt" in err
        with chroma.PersistentClient(tmp_path / "db") as client:
            count = client.get_collection("things").count()
        assert stored < count < ROWS
        stored = count
    out, err = loading(tmp_path, source, 0).communicate(timeout=60)
    assert out.splitlines()[-1] == str(ROWS), err
    with chroma.PersistentClient(tmp_path / "db") as client:
        found = client.get_collection("things").get(include=["embeddings"])
        assert found["ids"] == [f"i{n}" for n in range(ROWS)]
        assert found["embeddings"][2345].tolist() == vector_of("text 2345")


# ---------------------------------------------------------------------------- the end of threads


def steps(seen: list[str]) -> tuple[Ahead[int], Ahead[int]]:
    def numbers() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            seen.append("numbers")

    stop = threading.Event()
    first = Ahead(numbers(), 1, "first", stop)
    return first, Ahead(map(abs, first), 1, "second", stop)


def test_an_interrupt_while_threads_end_comes_after_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    both = steps(seen)
    wait, calls = both[0]._ended.wait, []

    def interrupted(timeout: float | None = None) -> bool:
        calls.append(timeout)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return wait(timeout)

    monkeypatch.setattr(both[0]._ended, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        close_all(both)
    assert seen == ["numbers"]
    assert not any(step._thread.is_alive() for step in both)


def test_what_was_left_running_ends_with_the_interpreter() -> None:
    seen: list[str] = []
    both = steps(seen)
    prefetch._end_all()
    assert seen == ["numbers"] and not any(step._thread.is_alive() for step in both)


def test_a_call_that_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "_PATIENCE", 0.05)
    go = threading.Event()

    def stuck() -> Iterator[int]:
        go.wait(20)
        yield 1

    items = Ahead(stuck(), 1, "stuck")
    items.close()
    assert not items._ended.is_set()
    go.set()
    assert items._ended.wait(20)
    items.close()


# ---------------------------------------------------------------------------- the pace


@pytest.mark.parametrize(
    ("latency", "each", "texts", "seconds"),
    [
        (0.0, 0.05, range(5, 11), 0.51),  # a model on this machine
        (0.0, 0.6, range(1, 3), 1.21),  # a larger one
        (0.6, 0.0001, [1000], 0.75),  # a provider
        (1.0, 0.001, range(500, 1001), 2.01),
        (0.0, 0.0, [1000], 0.01),
    ],
)
def test_calls_take_as_long_as_an_interrupt_may_wait(
    latency: float, each: float, texts: Any, seconds: float
) -> None:
    pace = Pace()
    pace.took(1, 1.5)  # the model is loaded
    for _ in range(40):
        pace.took(pace.texts, latency + each * pace.texts)
    assert pace.texts in texts and latency + each * pace.texts <= seconds
    assert pace.rows * each <= 4
    if each == 0.05:
        pace.took(pace.texts, pace.texts * 1.0)  # the texts are longer now
        assert pace.texts == 1


def test_a_short_last_call_tells_little() -> None:
    pace = Pace()
    for _ in range(20):
        pace.took(pace.texts, 0.01 + pace.texts / 10_000)
    texts, rows = pace.texts, pace.rows
    pace.took(1, 0.01)
    assert (pace.texts, pace.rows) == (texts, rows)


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_parts_with_texts_to_embed_are_small(tmp_path: Path, ending: str) -> None:
    """Also rows that cannot be stored belong to the part in which they are."""
    import json

    path = tmp_path / f"a.{ending}"
    ids = [None if n % 100 == 50 else f"i{n}" for n in range(400)]
    texts = [f"text {n}" for n in range(400)]
    if ending == "parquet":
        pq.write_table(pa.table({"id": ids, "document": texts}), path)
    else:
        lines = [json.dumps({"id": id, "document": text}) for id, text in zip(ids, texts)]
        lines[120:120] = ["", "[]"]
        path.write_text("\n".join(lines))
    with chroma.EphemeralClient(private=True) as client:
        function = HashEmbedding()
        things = client.create_collection("things", embedding_function=function)
        report = things.load(path, rejects=tmp_path / "rejects.jsonl")
        assert things.get()["ids"] == [id for id in ids if id is not None]
        expected = {50, 150, 250, 350} if ending == "parquet" else {50, 121, 152, 252, 352}
        rejected = [json.loads(line)["row"] for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
        assert rejected == sorted(expected) and report.rejected == len(expected)
        assert len(function.calls[0]) == 1 and sum(map(len, function.calls)) == 400 - 4


def test_parts_with_vectors_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from chroma.pipelines.load import Load

    seen, begin = [], Load.begin

    def told(self: Load, ready: Any, known: set[str]) -> Any:
        seen.append(ready.rows)
        return begin(self, ready, known)

    monkeypatch.setattr(Load, "begin", told)
    table = pa.table({"id": [f"i{n}" for n in range(400)], "embedding": [[float(n)] for n in range(400)]})
    with chroma.EphemeralClient(private=True) as client:
        things = client.create_collection("things", embedding_function=HashEmbedding())
        things.load(table, batch_size=200)
        assert seen == [100, 100, 200]
        del seen[:]
        things.load(table, batch_size=200, on_conflict="skip", transform=lambda part: part)
        assert seen[0] == 8 and max(seen) == 200  # only the result of the first part tells
