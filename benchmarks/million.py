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
    """After the kill: everything is there; index it, measure recall, speed and memory."""
    before = memory_mb("VmRSS")
    client, collection = _collection(folder)
    count = collection.count()
    start = time.perf_counter()
    collection.compact()
    seconds = time.perf_counter() - start
    queries, truth = np.load(f"{folder}/queries.npy"), json.loads(Path(f"{folder}/truth.json").read_text())
    sets = [set(ids) for ids in truth]
    found = [collection.query(query_embeddings=[vector], n_results=10)["ids"][0] for vector in queries]
    start = time.perf_counter()
    for vector in queries:
        collection.query(query_embeddings=[vector], n_results=10)
    rate = len(queries) / (time.perf_counter() - start)
    start = time.perf_counter()
    for vector in queries[:50]:
        collection.query(query_embeddings=[vector], n_results=10, where={"u": {"$lt": 1000}})
    filtered = 50 / (time.perf_counter() - start)
    peak = memory_mb("VmHWM") - before
    mapped = memory_mb("RssFile")
    client.close()
    return {
        "count": count,
        "index, s": seconds,
        "recall": data.recall(found, sets),
        "queries/s": rate,
        "10% filter queries/s": filtered,
        "peak memory, MB": peak,
        "of it mapped files now, MB": mapped,
        "disk bytes/row": disk_bytes(f"{folder}/db") / count,
    }


def _child(name: str, folder: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__, name, folder], stdout=subprocess.PIPE, text=True)


def main(rows: int, dimension: int) -> None:
    with tempfile.TemporaryDirectory(prefix="million-") as folder:
        made, queries = data.load(f"synthetic:{rows}:{dimension}", 200)
        truth = data.exact(made, queries, np.arange(rows))
        Path(f"{folder}/truth.json").write_text(json.dumps([sorted(ids) for ids in truth]))
        np.save(f"{folder}/vectors.npy", made.vectors)
        np.save(f"{folder}/queries.npy", queries)
        del made
        loader = _child("load", folder)
        assert loader.stdout is not None
        print("load", loader.stdout.readline().strip(), flush=True)
        time.sleep(5)  # the builder is at work now
        os.kill(loader.pid, signal.SIGKILL)
        loader.wait()
        indexer = _child("index", folder)
        print("after kill -9", indexer.communicate()[0].strip(), flush=True)
        assert indexer.returncode == 0


if __name__ == "__main__":
    if sys.argv[1:2] in (["load"], ["index"]):
        print(json.dumps(globals()[sys.argv[1]](sys.argv[2])), flush=True)
        if sys.argv[1] == "load":
            time.sleep(3600)  # until killed
    else:
        main(int((sys.argv[1:2] or ["1000000"])[0]), int((sys.argv[2:3] or ["128"])[0]))
