"""kill -9 at random moments: what was acknowledged is there, what was not is there whole or not at all."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import numpy as np

import chroma

from .processes import Worker
from .worker import step, vectors_of

ROUNDS = 6


class Script:
    """The state the scripted writer should have reached: id -> (step, place) in insertion order."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[int, int]] = {}
        self.done = 0

    def advance(self) -> None:
        verb, ids = step(self.done)
        for place, id in enumerate(ids):
            if verb == "delete":
                self.rows.pop(id, None)
            elif verb == "upsert" or id in self.rows:
                self.rows[id] = (self.done, place)
        self.done += 1

    def state(self) -> list[tuple[str, int, int]]:
        return [(id, *row) for id, row in self.rows.items()]


def stored(collection: Any) -> list[tuple[str, int, int]]:
    got = collection.get(include=["metadatas"])
    return [(id, m["step"], m["place"]) for id, m in zip(got["ids"], got["metadatas"], strict=True)]


def check_vectors(collection: Any, rows: dict[str, tuple[int, int]], rng: random.Random) -> None:
    """Documents and vectors belong to the step of the metadata; sampled records find themselves."""
    got = collection.get(include=["documents", "embeddings"])
    by_step: dict[int, list[str]] = {}
    for id, (n, _) in rows.items():
        by_step.setdefault(n, []).append(id)
    expected = {
        id: vector for n, ids in by_step.items() for id, vector in zip(ids, vectors_of(ids, n), strict=True)
    }
    assert got["documents"] == [f"step {rows[id][0]} of {id}" for id in got["ids"]]
    assert np.array_equal(
        np.asarray(got["embeddings"], np.float32), np.array([expected[id] for id in got["ids"]])
    )
    sample = rng.sample(got["ids"], min(200, len(got["ids"])))
    for exact in (True, False):
        found = collection.query(query_embeddings=[expected[id] for id in sample], n_results=1, exact=exact)
        assert found["ids"] == [[id] for id in sample]
        assert [row[0] for row in found["distances"]] == [0.0] * len(sample)


def test_a_killed_writer_loses_nothing_and_leaves_no_half_batch(tmp_path: Path) -> None:
    rng = random.Random(20)
    script = Script()
    for _ in range(ROUNDS):
        worker = Worker("script", tmp_path / "db", script.done)
        # the kill falls into a step, not behind an acknowledgement: how long to wait is the randomness
        acknowledged = [worker.hear() for _ in range(rng.randint(1, 12))]
        time.sleep(rng.uniform(0, 0.05))
        worker.kill()
        acknowledged += worker.hear_rest()
        worker.end()
        assert acknowledged == list(range(script.done, script.done + len(acknowledged)))
        for _ in acknowledged:
            script.advance()
        with chroma.PersistentClient(tmp_path / "db") as client:
            collection = client.get_collection("script")
            found = stored(collection)
            if found != script.state():
                script.advance()  # the write in flight was kept: then all of it
            assert found == script.state()
            assert collection.count() == len(found)
            check_vectors(collection, script.rows, rng)


def test_a_writer_killed_while_others_go_on_does_not_stop_them(tmp_path: Path) -> None:
    """A dead process holds no lock."""
    with chroma.PersistentClient(tmp_path / "db") as client:
        collection = client.create_collection("script", embedding_function=None)
        for _ in range(3):
            worker = Worker("script", tmp_path / "db", 0)
            worker.hear()
            worker.kill()
            worker.end()
            collection.upsert(ids=["mine"], embeddings=vectors_of(["mine"]))
            assert collection.query(query_embeddings=vectors_of(["mine"]), n_results=1)["ids"] == [["mine"]]


def test_a_process_that_ends_without_closing_loses_nothing_and_says_nothing(tmp_path: Path) -> None:
    import subprocess
    import sys

    from .processes import ROOT, environment

    program = (
        "import chroma, os, sys\n"
        "things = chroma.PersistentClient(sys.argv[1]).create_collection('things', embedding_function=None)\n"
        "for name in 'abcdef': things.add(ids=[name], embeddings=[[1, 2]])\n"
        "os._exit(7) if sys.argv[2] == 'hard' else None\n"
    )
    for how, code in (("hard", 7), ("soft", 0)):
        folder = tmp_path / how
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder), how],
            cwd=ROOT,
            env=environment(),
            timeout=60,
            check=False,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
        with chroma.PersistentClient(folder) as client:
            assert client.get_collection("things").get()["ids"] == list("abcdef")
