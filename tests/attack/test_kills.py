"""Two processes write and compact one folder, and are killed at any moment, again and again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import chroma
from chroma.embedded.backend import check_folder

from .rounds import ROOT, scaled

# Says each id after its add has returned; merges all the time.
_WRITER = """
import sys, threading
import chroma
from chroma.storage.collection import index_builds, record_store
from chroma.storage.filters import document_index
record_store.BULK_ROWS, index_builds.INDEX_BYTES, document_index.LEAST_BYTES = 64, 512, 512
folder, name = sys.argv[1:]
client = chroma.PersistentClient(folder)
things = client.get_collection("things", embedding_function=None)

def merge():
    while True:
        things.compact()

threading.Thread(target=merge, daemon=True).start()
number = 0
while True:
    ids = [f"{name}-{number + i}" for i in range(1 + 70 * (number % 5 == 4))]
    things.add(ids=ids, embeddings=[[float(number), 1.0]] * len(ids))
    number += len(ids)
    print(number, flush=True)
"""


def test_two_processes_that_compact_are_killed(tmp_path: Path) -> None:
    chance = random.Random(15)
    with chroma.PersistentClient(tmp_path) as client:
        client.create_collection("things", embedding_function=None)
    acknowledged: dict[str, int] = {}
    for round in range(scaled(4, 120)):
        names = [f"{round}-{side}" for side in "ab"]
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", _WRITER, str(tmp_path), name],
                stdout=subprocess.PIPE,
                cwd=ROOT,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
            )
            for name in names
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline(), "it ended before it wrote"
        for writer in chance.sample(writers, 2):
            time.sleep(chance.uniform(0.0, 0.4))
            writer.send_signal(signal.SIGKILL)
        for name, writer in zip(names, writers, strict=True):
            lines = [
                line for line in writer.communicate()[0].splitlines(keepends=True) if line.endswith("\n")
            ]
            acknowledged[name] = int(lines[-1]) if lines else 1
        with chroma.PersistentClient(tmp_path) as client:
            held = set(client.get_collection("things", embedding_function=None).get(include=[])["ids"])
        for name, count in acknowledged.items():
            missing = [i for i in range(count) if f"{name}-{i}" not in held]
            assert not missing, f"round {round}: {len(missing)} of the records of {name} are lost"
        assert check_folder(str(tmp_path)).ok, f"round {round}"
