"""kill -9 of a server in the middle of bulk loads: what was acknowledged stays, nothing is half there,
and a load that is sent again completes without duplicates."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest

import chroma
from chroma.errors import ChromaError

from ..support import server

BATCH, BATCHES, WIDTH = 200, 200, 16
DATABASE = "/api/v2/tenants/default_tenant/databases/default_database"
MEDIA = {"Content-Type": "application/vnd.apache.arrow.stream"}


def vectors(batch: int) -> Any:
    """A batch whose vectors tell their rows."""
    rows = np.arange(batch * BATCH, (batch + 1) * BATCH, dtype=np.float32)
    return np.repeat(rows[:, None], WIDTH, axis=1)


def ids(batch: int) -> list[str]:
    return [f"r{row}" for row in range(batch * BATCH, (batch + 1) * BATCH)]


def record_batch(batch: int) -> pa.RecordBatch:
    flat = pa.array(vectors(batch).reshape(-1))
    return pa.RecordBatch.from_pydict(
        {
            "id": ids(batch),
            "embedding": pa.FixedSizeListArray.from_arrays(flat, WIDTH),
            "batch": [batch] * BATCH,
        }
    )


def stream(start: int = 0, pause: float = 0.0) -> Iterator[bytes]:
    """An Arrow stream of the batches from `start` on."""
    yield record_batch(start).schema.serialize().to_pybytes()
    for batch in range(start, BATCHES):
        yield record_batch(batch).serialize().to_pybytes()
        time.sleep(pause)
    yield b"\xff\xff\xff\xff\0\0\0\0"


def whole_batches(collection: Any) -> list[int]:
    """The batches that are there, each of them whole, each record once and with its own vector."""
    found = collection.get(include=["embeddings", "metadatas"])
    rows = np.array([int(id[1:]) for id in found["ids"]])
    assert len(set(rows.tolist())) == len(rows)
    assert np.array_equal(found["embeddings"], np.repeat(rows[:, None], WIDTH, axis=1))
    numbers, counts = np.unique([entry["batch"] for entry in found["metadatas"]], return_counts=True)
    assert (counts == BATCH).all(), "a batch is half there"
    return [int(number) for number in numbers]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[list[server.Running]]:
    """A list whose last entry is the server; tests append the next one."""
    servers = [server.start(tmp_path)]
    yield servers
    servers[-1].process.kill()
    servers[-1].process.wait()


def kill(running: list[server.Running]) -> None:
    running[-1].process.kill()
    running[-1].process.wait()


def restart(running: list[server.Running]) -> server.Running:
    running.append(server.start(running[-1].folder))
    return running[-1]


@pytest.mark.parametrize("wanted", [1, 40])
def test_a_stream_that_is_killed_leaves_whole_batches_and_resumes(
    running: list[server.Running], wanted: int
) -> None:
    url = running[-1].url
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        made = http.post(f"{DATABASE}/collections", json={"name": "load"}).json()
        path = f"{DATABASE}/collections/{made['id']}"
        failed: list[BaseException] = []

        def load() -> None:
            try:
                httpx.post(url + f"{path}/add", content=stream(pause=0.005), headers=MEDIA, timeout=60)
            except httpx.HTTPError as error:
                failed.append(error)

        loader = threading.Thread(target=load)
        loader.start()
        while http.get(f"{path}/count").json() < wanted * BATCH:
            time.sleep(0.002)
        seen = http.get(f"{path}/count").json()
        kill(running)
        loader.join()
        assert failed, "the server was killed too late"
    url = restart(running).url
    with chroma.HttpClient(url) as client:
        collection = client.get_collection("load", embedding_function=None)
        there = whole_batches(collection)
        assert len(there) * BATCH >= seen, "a row that had been counted is lost"
        assert there == list(range(len(there))), "batches are written in their order"
        answer = httpx.post(url + f"{path}/add", content=stream(), headers=MEDIA, timeout=60).json()
        assert answer["added"] + answer["skipped"] == BATCH * BATCHES
        assert whole_batches(collection) == list(range(BATCHES))


def test_acknowledged_calls_survive_and_the_rest_is_added_again(running: list[server.Running]) -> None:
    acknowledged = 0
    with chroma.HttpClient(running[-1].url) as client:
        collection = client.create_collection("load", embedding_function=None)

        def add(batch: int) -> None:
            collection.add(ids(batch), vectors(batch), [{"batch": batch}] * BATCH)

        killer = threading.Timer(0.3, kill, [running])
        with pytest.raises((ChromaError, ValueError)):
            for batch in range(10**9):
                add(batch % BATCHES)
                acknowledged = max(acknowledged, batch + 1)
                if acknowledged == 1:
                    killer.start()
        killer.join()
    assert acknowledged
    with chroma.HttpClient(restart(running).url) as client:
        collection = client.get_collection("load", embedding_function=None)
        there = whole_batches(collection)
        assert set(range(min(acknowledged, BATCHES))) <= set(there)
        for batch in range(BATCHES):
            add(batch)
        assert whole_batches(collection) == list(range(BATCHES))
