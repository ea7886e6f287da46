"""A million synthetic records: load, index, query, and survive being killed while indexing.

    python benchmarks/million.py [ROWS] [DIMENSION]

The parent makes the data once; children load it from a file, so that their memory is their own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import data
from memory import disk_bytes, memory_mb


def _collection(folder: str) -> tuple[Any, Any]:
    import chroma

    client = chroma.PersistentClient(f"{folder}/db")
    configuration = {"hnsw": {"space": "cosine"}}
    return client, client.get_or_create_collection(
        "million", embedding_function=None, configuration=configuration
    )


def load(folder: str) -> dict[str, Any]:
    """One call with every row; then the builder starts, and the parent kills this process."""
    vectors = np.load(f"{folder}/vectors.npy")
    ids = [f"s{i:08d}" for i in range(len(vectors))]
    metadatas = [{"n": i, "u": i * 7919 % 10_000} for i in range(len(vectors))]
    before = memory_mb("VmRSS")
    _, collection = _collection(folder)
    start = time.perf_counter()
    collection.add(ids=ids, embeddings=vectors, metadatas=metadatas)
    seconds = time.perf_counter() - start
    return {"rows/s": len(ids) / seconds, "peak over the input, MB": memory_mb("VmHWM") - before}


def index(folder: str) -> dict[str, Any]:
    """After the kill: everything is there; index it."""
    before = memory_mb("VmRSS")
    client, collection = _collection(folder)
    count = collection.count()
    start = time.perf_counter()
    collection.compact()
    seconds = time.perf_counter() - start
    peak = memory_mb("VmHWM") - before
    client.close()
    return {
        "count": count,
        "index, s": seconds,
        "peak memory, MB": peak,
        "disk bytes/row": disk_bytes(f"{folder}/db") / count,
    }


def read(folder: str) -> dict[str, Any]:
    """A new process: its first answer, then queries with and without a filter, and its memory."""
    queries = np.load(f"{folder}/queries.npy")
    truth = json.loads(Path(f"{folder}/truth.json").read_text())
    start = time.perf_counter()
    client, collection = _collection(folder)
    collection.query(query_embeddings=[queries[0]], n_results=10)
    first = time.perf_counter() - start
    found: dict[str, Any] = {"first answer, s": first}
    for name, where in (("", None), (", 10 % filter", {"u": {"$lt": 1000}})):
        sets = [set(ids) for ids in truth[name]]
        answers, times = [], []
        for _ in range(2):
            answers, times = [], []
            for vector in queries:
                start = time.perf_counter()
                answers.append(
                    collection.query(query_embeddings=[vector], n_results=10, where=where)["ids"][0]
                )
                times.append(time.perf_counter() - start)
        found[f"recall{name}"] = data.recall(answers, sets)
        found[f"p50, ms{name}"] = 1e3 * float(np.median(times))
    found["anonymous memory, MB"] = memory_mb("RssAnon")
    found["mapped files, MB"] = memory_mb("RssFile")
    client.close()
    return found


def _child(name: str, folder: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, name, folder], stdout=subprocess.PIPE, text=True)


def main(rows: int, dimension: int) -> None:
    with tempfile.TemporaryDirectory(prefix="million-") as folder:
        made, queries = data.load(f"synthetic:{rows}:{dimension}", 200)
        kept = np.flatnonzero(np.arange(rows) * 7919 % 10_000 < 1000)
        truth = {
            name: [sorted(ids) for ids in data.exact(made, queries, among)]
            for name, among in (("", np.arange(rows)), (", 10 % filter", kept))
        }
        Path(f"{folder}/truth.json").write_text(json.dumps(truth))
        np.save(f"{folder}/vectors.npy", made.vectors)
        np.save(f"{folder}/queries.npy", queries)
        del made
        loader = _child("load", folder)
        assert loader.stdout is not None
        print("load", loader.stdout.readline().strip(), flush=True)
        time.sleep(5)  # the builder is at work now
        os.kill(loader.pid, signal.SIGKILL)
        loader.wait()
        for name, label in (("index", "after kill -9"), ("read", "a new process")):
            child = _child(name, folder)
            print(label, child.communicate()[0].strip(), flush=True)
            assert child.returncode == 0


if __name__ == "__main__":
    if sys.argv[1:2] in (["load"], ["index"], ["read"]):
        print(json.dumps(globals()[sys.argv[1]](sys.argv[2])), flush=True)
        if sys.argv[1] == "load":
            time.sleep(3600)  # until killed
    else:
        main(int((sys.argv[1:2] or ["1000000"])[0]), int((sys.argv[2:3] or ["128"])[0]))
