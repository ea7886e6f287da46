"""kill -9 in the middle of a load, of the process that loads or of the server: run again, it goes on."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import chroma

from ...crash.processes import environment
from ...support import server

ROWS, DIM, PART = 6_000, 16, 150


def vectors() -> Any:
    return np.arange(ROWS * DIM, dtype=np.float32).reshape(ROWS, DIM)


def source(folder: Path, ending: str) -> Path:
    path = folder / f"source.{ending}"
    if ending == "jsonl":
        rows = ({"id": f"i{n}", "embedding": row, "n": n} for n, row in enumerate(vectors().tolist()))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        matrix = pa.FixedSizeListArray.from_arrays(pa.array(vectors().reshape(-1)), DIM)
        ids = [f"i{n}" for n in range(ROWS)]
        pq.write_table(
            pa.table({"id": ids, "embedding": matrix, "n": range(ROWS)}), path, row_group_size=1000
        )
    return path


class Loading:
    """A process that loads."""

    def __init__(self, folder: Path, place: str, path: Path, **options: Any) -> None:
        command = [
            sys.executable,
            "-m",
            "tests.chroma.pipelines.worker",
            place,
            str(path),
            json.dumps(options),
        ]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def rest(self) -> tuple[str, str]:
        return self.process.communicate(timeout=60)


def test_a_killed_load(tmp_path: Path) -> None:
    for ending, on_conflict, seed in (("parquet", "error", 1), ("jsonl", "upsert", 2)):
        rng, killed = random.Random(seed), 0
        path, place = source(tmp_path, ending), str(tmp_path / f"db-{ending}")
        options: dict[str, Any] = {"on_conflict": on_conflict, "batch_size": PART}
        resumed = 0
        while killed < 3:
            load = Loading(tmp_path, place, path, **options)
            for _ in range(rng.randint(3, 9)):
                assert load.hear() == "begun"
            time.sleep(rng.uniform(0, 0.02))  # between two parts, or in the middle of one
            load.process.kill()
            load.rest()
            killed += 1
        out, err = Loading(tmp_path, place, path, **options).rest()
        report = json.loads(out.splitlines()[-1]) if out else pytest.fail(err)
        resumed = report["resumed"]
        assert (report["rows"], report["added"], report["updated"], report["skipped"]) == (ROWS, ROWS, 0, 0)
        assert 3 * 2 * PART <= resumed < ROWS
        with chroma.PersistentClient(place) as client:
            exact(client)
        assert not (Path(place) / "loads").exists()


def exact(client: Any) -> None:
    table = client.get_collection("things").to_arrow()
    assert table.column("id").to_pylist() == [f"i{n}" for n in range(ROWS)]
    assert table.column("n").to_pylist() == list(range(ROWS))
    held = np.asarray(table.column("embedding").combine_chunks().flatten())
    assert np.array_equal(held.reshape(ROWS, DIM), vectors())


def test_a_server_and_its_clients(tmp_path: Path) -> None:
    """The client is killed, then the server, whose client says so and ends."""
    path = source(tmp_path, "parquet")
    options: dict[str, Any] = {"on_conflict": "skip", "batch_size": PART}
    running = server.start(tmp_path)
    try:
        load = Loading(tmp_path, running.url, path, **options)
        for _ in range(5):
            assert load.hear() == "begun"
        load.process.kill()
        load.rest()
        load = Loading(tmp_path, running.url, path, **options)
        for _ in range(4):
            assert load.hear() == "begun"
        running.process.kill()
        running.process.wait()
        _, err = load.rest()
        assert load.process.returncode == 1 and "ServerConnectionError" in err
        assert [found.suffix for found in (tmp_path / ".chroma-loads").iterdir()] == [".json"]
        running = server.start(tmp_path, port=int(running.url.rpartition(":")[2]))
        out, err = Loading(tmp_path, running.url, path, **options).rest()
        report = json.loads(out.splitlines()[-1]) if out else pytest.fail(err)
        assert (report["rows"], report["added"], report["skipped"]) == (ROWS, ROWS, 0)
        assert report["resumed"] >= 6 * PART
        with chroma.HttpClient(running.url) as client:
            exact(client)
        assert not (tmp_path / ".chroma-loads").exists()
    finally:
        server.ended(running)


def test_two_processes_with_the_same_load(tmp_path: Path) -> None:
    path, place = source(tmp_path, "parquet"), str(tmp_path / "db")
    first = Loading(tmp_path, place, path, batch_size=PART)
    assert first.hear() == "begun"
    first.process.send_signal(signal.SIGSTOP)
    out, err = Loading(tmp_path, place, path, batch_size=PART, on_conflict="error").rest()
    first.process.send_signal(signal.SIGCONT)
    assert "this very load is running already" in err
    out, err = first.rest()
    assert json.loads(out.splitlines()[-1])["added"] == ROWS, err
    with chroma.PersistentClient(place) as client:
        exact(client)
