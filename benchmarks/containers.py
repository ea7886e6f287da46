"""Collections that are larger than memory: load, index and queries in containers of less and less memory.

    python benchmarks/containers.py [--rows N] [--dimension D] [--build-mb 1000] [--mb 2000 1000 600 400]

A container here is a control group with a memory limit (version 1 or 2), so this needs root on Linux. The
page cache of a group counts for its limit, as in Docker and Kubernetes. Before each child, the files leave
the page cache. Peaks are those of anonymous memory, which cannot be given back.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import data
import million
from memory import Peak, disk_bytes

BATCH = 20_000
QUERIES = 200
GROUPS = Path("/sys/fs/cgroup")


def load(folder: str) -> dict[str, Any]:
    """Add all rows in batches, then index them."""
    vectors = np.load(f"{folder}/vectors.npy", mmap_mode="r")
    client, collection = million._collection(folder)
    with Peak() as loading:
        start = time.perf_counter()
        for first in range(0, len(vectors), BATCH):
            rows = range(first, min(first + BATCH, len(vectors)))
            collection.add(
                ids=[f"s{row:08d}" for row in rows],
                embeddings=np.array(vectors[first : rows.stop]),
                metadatas=[{"n": row, "u": row * 7919 % 10_000} for row in rows],
            )
        seconds = time.perf_counter() - start
    with Peak() as indexing:
        start = time.perf_counter()
        collection.compact()
        taken = time.perf_counter() - start
    status = collection.get_indexing_status()
    assert status.num_unindexed_ops == 0, status
    client.close()
    return {
        "load, rows/s": len(vectors) / seconds,
        "load, peak MB": loading.anonymous,
        "index, s": taken,
        "index, peak MB": indexing.anonymous,
        "disk bytes/row": disk_bytes(f"{folder}/db") / len(vectors),
    }


@contextmanager
def group(megabytes: int) -> Iterator[Path]:
    """A control group with a memory limit. Yields the file that takes the processes of the group."""
    old = GROUPS / "memory"
    made = (old if old.exists() else GROUPS) / f"chroma-benchmark-{os.getpid()}"
    made.mkdir()
    try:
        limit = made / ("memory.limit_in_bytes" if old.exists() else "memory.max")
        limit.write_text(str(megabytes << 20))
        yield made / "cgroup.procs"
    finally:
        made.rmdir()


def leave_cache(folder: str) -> None:
    """Take the files below a folder out of the page cache."""
    for path in Path(folder).rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)


def child(name: str, folder: str, megabytes: int) -> dict[str, Any]:
    leave_cache(folder)
    with group(megabytes) as processes:
        found = subprocess.run(
            [sys.executable, __file__, "--child", name, folder, str(processes)],
            stdout=subprocess.PIPE,
            text=True,
        )
    if found.returncode:
        return {"ended with": found.returncode}
    result: dict[str, Any] = json.loads(found.stdout)
    return result


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--dimension", type=int, default=384)
    options.add_argument("--build-mb", type=int, default=1000)
    options.add_argument("--mb", type=int, nargs="+", default=[2000, 1000, 600, 400])
    options.add_argument("--work", help="where the files are; they need 12 bytes per number")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="containers-", dir=chosen.work) as folder:
        every, _ = data.clustered(chosen.rows, chosen.dimension, QUERIES, np.random.default_rng(1))
        vectors, queries = every[:-QUERIES], every[-QUERIES:]
        kept = np.flatnonzero(np.arange(chosen.rows) * 7919 % 10_000 < 1000)
        nearest = {"": data.nearest(vectors, queries)}
        nearest[", 10 % filter"] = kept[data.nearest(vectors[kept], queries)]
        truth = {
            name: [sorted(f"s{row:08d}" for row in line) for line in rows] for name, rows in nearest.items()
        }
        Path(f"{folder}/truth.json").write_text(json.dumps(truth))
        np.save(f"{folder}/vectors.npy", vectors)
        np.save(f"{folder}/queries.npy", queries)
        del every, vectors
        print(f"load and index, {chosen.build_mb} MB:", child("load", folder, chosen.build_mb), flush=True)
        for megabytes in chosen.mb:
            print(f"queries, {megabytes} MB:", child("read", folder, megabytes), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _, _, name, folder, processes = sys.argv
        Path(processes).write_text(str(os.getpid()))
        print(json.dumps(load(folder) if name == "load" else million.read(folder)), flush=True)
    else:
        main()
