"""A migration that is killed at any moment goes on where it stopped, and ends with what it would have."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import chroma

from . import handmade
from .handmade import Made, hashes, vectors

# Small parts, and a pause between them, so that there is something to interrupt.
PROGRAM = """
import sys, time
import chroma
from chroma.migration import chromadb_folder, migration_checkpoint
chromadb_folder._ROWS = 16
write = migration_checkpoint.Journal.write
def slow(self):
    write(self)
    print("step", flush=True)
    time.sleep(0.01)
migration_checkpoint.Journal.write = slow
chroma.migrate(sys.argv[1], sys.argv[2], progress=False)
"""


def test_killed_again_and_again(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    made = [
        Made("first", vectors(400), indexed=150),
        Made("second", vectors(300, seed=1), "acme", "archive"),
        Made("third", vectors(200, seed=2), space="cosine", indexed=200),
    ]
    handmade.write(old, made).close()
    before = hashes(old)
    chance = random.Random(4)
    for steps in (1, 3, 12, 15, 9):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(old), str(new)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(steps):
            assert process.stdout.readline() == "step\n"
        time.sleep(chance.random() * 0.012)
        process.kill()
        process.communicate()
    report = chroma.migrate(old, new, progress=False, compare_all=True)
    assert not report.already_done
    assert 0 < report.written < 600, "it went on, instead of beginning again"
    assert (report.records, report.compared) == (900, 900)
    assert hashes(old) == before
    for one in made[:2]:
        with chroma.PersistentClient(new, tenant=one.tenant, database=one.database) as client:
            found = client.get_collection(one.name, embedding_function=None).get(include=["embeddings"])
        assert found["ids"] == one.ids
        assert np.array_equal(found["embeddings"], one.vectors)
    assert chroma.migrate(old, new, progress=False).already_done
