"""A writer that dies at a chosen step of its own disk writes. Run as a script: FOLDER STEP.

Prints a line per acknowledged operation, and with STEP 0 the name of every step it passed.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import chroma
from chroma.storage.io import disk
from chroma.storage.wal import log

ROWS = 40


def operations() -> list[tuple[str, dict[str, Any]]]:
    """Calls that touch every kind of file: small and direct batches, updates, deletes, merges."""
    few = {"ids": [f"a{i}" for i in range(ROWS)], "embeddings": [[i, 1.0] for i in range(ROWS)]}
    many = {
        "ids": [f"b{i}" for i in range(9000)],
        "embeddings": [[i, 2.0] for i in range(9000)],
        "metadatas": [{"n": i} for i in range(9000)],
    }
    return [
        ("add", few | {"metadatas": [{"n": i} for i in range(ROWS)]}),
        ("update", {"ids": ["a1", "a2"], "metadatas": [{"n": -1}, {"n": -2}]}),
        ("compact", {}),
        ("delete", {"ids": [f"a{i}" for i in range(0, ROWS, 2)]}),
        ("add", many),
        ("upsert", {"ids": ["a3", "c1"], "embeddings": [[7, 7], [8, 8]], "metadatas": [{"n": 3}, {"n": 4}]}),
        ("snapshot", {"name": "before"}),
        ("update", {"ids": ["b5", "b6", "zz"], "metadatas": [{"n": -5}, {"n": -6}, {"n": 0}]}),
        ("snapshot", {"name": "patched"}),
        ("delete", {"where": {"n": {"$gte": 100}}}),
        ("compact", {}),
        ("update", {"ids": ["b7"], "metadatas": [{"n": -7}]}),
        ("compact", {}),
        ("add", {"ids": ["e1"], "embeddings": [[9, 8]], "metadatas": [{"n": 6}]}),
        ("restore", {"name": "before"}),
        ("restore", {"name": "patched"}),
        ("drop_snapshot", {"name": "before"}),
        ("update", {"ids": ["b8", "e1"], "metadatas": [{"n": -8}, {"n": 0}]}),
        ("delete", {"where": {"n": {"$gte": 100}}}),
        ("add", {"ids": ["d1"], "embeddings": [[9, 9]], "metadatas": [{"n": 5}]}),
    ]


def main(folder: str, fatal: int) -> None:
    passed = 0

    def step(name: str, path: str) -> None:
        nonlocal passed
        passed += 1
        if fatal == 0:
            print("step", name.replace(" ", "-"), os.path.basename(path).split("-")[0], flush=True)
        elif passed == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    disk.before_step = step
    log.WATERMARK_SECONDS = 0.0  # one with each sync, so that the number of steps does not depend on time
    client = chroma.PersistentClient(folder)
    collection = client.get_or_create_collection("col", embedding_function=None)
    print("acknowledged create", flush=True)
    for verb, arguments in operations():
        getattr(collection, verb)(**arguments)
        print("acknowledged", verb, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
