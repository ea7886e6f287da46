"""One client's part of a serving benchmark, as a process: `serving_client.py WORKLOAD TASK(JSON)`.

It runs in the environment of the client it measures, so it may import chromadb or this package.
Prints one JSON line of figures.
"""

from __future__ import annotations

import json
import multiprocessing
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import data
import numpy as np

CALL_ROWS = 10_000


def connect(task: dict[str, Any]) -> Any:
    module = __import__(task["client"])
    address = urlsplit(task["url"])
    settings = module.Settings(anonymized_telemetry=False)
    return module.HttpClient(host=address.hostname, port=address.port, settings=settings)


def opened(client: Any) -> Any:
    return client.get_collection("bench", embedding_function=None)


def create(client: Any) -> Any:
    return client.create_collection(
        "bench", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )


def fill(collection: Any, rows: data.Rows, step: int) -> float:
    began = time.perf_counter()
    for start in range(0, len(rows), step):
        part = rows.part(start, start + step)
        collection.add(
            ids=part.ids, embeddings=part.vectors, documents=part.documents, metadatas=part.metadatas
        )
    return len(rows) / (time.perf_counter() - began)


def ingest(task: dict[str, Any]) -> dict[str, float]:
    """Records per second, durable, in calls of CALL_ROWS or as many as the server takes."""
    rows, _ = data.load(task["data"])
    client = connect(task)
    step = min(CALL_ROWS, client.get_max_batch_size())
    return {"rows/s": fill(create(client), rows, step)}


def whole(task: dict[str, Any]) -> dict[str, float]:
    """The same in one call."""
    rows, _ = data.load(task["data"])
    return {"rows/s": fill(create(connect(task)), rows, len(rows))}


def embedded(task: dict[str, Any]) -> dict[str, float]:
    """Our own rate without a server, in the same calls."""
    import chroma

    rows, _ = data.load(task["data"])
    figures = {}
    for name, step in (("rows/s", CALL_ROWS), ("rows/s in one call", len(rows))):
        with tempfile.TemporaryDirectory() as folder, chroma.PersistentClient(folder) as client:
            figures[name] = fill(create(client), rows, step)
    return figures


def settle(task: dict[str, Any]) -> dict[str, float]:
    """Wait until the index is built, as far as the server can tell."""
    collection = opened(connect(task))
    began = time.perf_counter()
    if task["client"] == "chroma":
        collection.compact()
    rows, _ = data.load(task["data"])
    collection.query(query_embeddings=rows.vectors[:1], n_results=1)
    return {"seconds": time.perf_counter() - began}


def export(task: dict[str, Any]) -> dict[str, float]:
    """Records per second into a DataFrame with embeddings; in pages where one call fails."""
    import pandas as pd

    collection = opened(connect(task))
    include = ["embeddings", "documents", "metadatas"]
    began = time.perf_counter()
    if task["client"] == "chroma":
        pages = [collection.get(include=include)]
    else:
        pages = [
            collection.get(include=include, limit=5000, offset=at) for at in range(0, task["rows"], 5000)
        ]
    frames = [
        pd.DataFrame(
            {
                "id": page["ids"],
                "document": page["documents"],
                "metadata": page["metadatas"],
                "embedding": list(page["embeddings"]),
            }
        )
        for page in pages
    ]
    frame = pd.concat(frames)
    seconds = time.perf_counter() - began
    assert len(frame) == task["rows"], len(frame)
    return {"rows/s": len(frame) / seconds}


def query(task: dict[str, Any]) -> dict[str, float]:
    """Queries per second of `clients` processes together, their latency, and recall."""
    context = multiprocessing.get_context("spawn")
    clients = int(task["clients"])
    barrier, answers = context.Barrier(clients), context.Queue()
    processes = [
        context.Process(target=_querying, args=(task, number, barrier, answers)) for number in range(clients)
    ]
    for process in processes:
        process.start()
    got = [answers.get(timeout=600) for _ in processes]
    for process in processes:
        process.join()
    times = np.concatenate([np.asarray(part["times"]) for part in got])
    return {
        "queries/s": sum(len(part["times"]) / part["seconds"] for part in got),
        "p50 ms": float(np.percentile(times, 50)) * 1e3,
        "p99 ms": float(np.percentile(times, 99)) * 1e3,
        "recall": float(np.mean([part["recall"] for part in got])),
    }


def _querying(task: dict[str, Any], number: int, barrier: Any, answers: Any) -> None:
    rows, asked = data.load(task["data"])
    truth = data.exact(rows, asked, np.arange(len(rows)))
    ask = _raw(task, asked) if task.get("raw") else _through_client(task, asked)
    order = np.roll(np.arange(len(asked)), number * 37)
    for which in order[:20]:
        ask(int(which))
    barrier.wait()
    times: list[float] = []
    found: dict[int, list[str]] = {}
    began = time.perf_counter()
    while (now := time.perf_counter()) - began < task["seconds"]:
        which = int(order[len(times) % len(order)])
        answer = ask(which)
        times.append(time.perf_counter() - now)
        found[which] = answer["ids"][0]
    seconds = time.perf_counter() - began
    recall = data.recall([*found.values()], [truth[which] for which in found])
    answers.put({"times": times, "seconds": seconds, "recall": recall})


def _through_client(task: dict[str, Any], asked: Any) -> Callable[[int], Any]:
    collection = opened(connect(task))
    return lambda which: collection.query(query_embeddings=[asked[which]], n_results=10)


def _raw(task: dict[str, Any], asked: Any) -> Callable[[int], Any]:
    """The same queries as prepared bytes over a socket, so that the server takes nearly all of the time."""
    address = urlsplit(task["url"])
    id = opened(connect(task)).id
    path = f"/api/v2/tenants/default_tenant/databases/default_database/collections/{id}/query"
    head = f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
    requests = []
    for vector in asked:
        body = json.dumps({"query_embeddings": [vector.tolist()], "n_results": 10}).encode()
        requests.append(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    connection = socket.create_connection((address.hostname, address.port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(which: int) -> Any:
        connection.sendall(requests[which])
        data = connection.recv(1 << 16)
        while b"\r\n\r\n" not in data:
            data += connection.recv(1 << 16)
        answered, _, body = data.partition(b"\r\n\r\n")
        size = int(answered.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < size:
            body += connection.recv(1 << 16)
        return json.loads(body)

    return ask


WORKLOADS = {work.__name__: work for work in (ingest, whole, embedded, settle, export, query)}

if __name__ == "__main__":
    print(json.dumps(WORKLOADS[sys.argv[1]](json.loads(sys.argv[2]))))
