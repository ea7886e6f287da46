"""What the processes of the crash tests run: `python -m tests.crash.worker ROLE FOLDER …`.

Every role speaks JSON lines: one line per acknowledged call, after the call has returned.
"""

from __future__ import annotations

import hashlib
import json
import select
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

import chroma
from chroma.errors import ChromaError
from chroma.storage.wal import log

DIM = 8
SIZES = [1, 3, 40, 1, 700, 1, 9000, 5]


def say(value: Any) -> None:
    print(json.dumps(value), flush=True)


def vectors_of(ids: list[str], version: int = 0) -> Any:
    """A distinct vector per id and version."""
    digests = (hashlib.blake2b(f"{version} {id}".encode(), digest_size=2 * DIM).digest() for id in ids)
    return np.array([np.frombuffer(digest, dtype=np.int16) for digest in digests], dtype=np.float32)


def step(n: int) -> tuple[str, list[str]]:
    """The n-th write of the script: its verb and ids. It depends on nothing but n."""
    batch = [f"{n}-{i}" for i in range(SIZES[n % len(SIZES)])]
    if n % 5 == 3:
        return "update", step(n - 1)[1]
    if n % 7 == 6:
        return "delete", step(n - 2)[1][:500]
    return "upsert", batch


def apply(collection: Any, n: int) -> None:
    verb, ids = step(n)
    if verb == "delete":
        collection.delete(ids=ids)
        return
    getattr(collection, verb)(
        ids=ids,
        embeddings=vectors_of(ids, n),
        metadatas=[{"step": n, "place": i} for i in range(len(ids))],
        documents=[f"step {n} of {id}" for id in ids],
    )


def script(folder: str, start: str) -> None:
    """Writes step after step until it is killed; says each one's number after it returned."""
    with chroma.PersistentClient(folder) as client:
        collection = client.get_or_create_collection("script", embedding_function=None)
        for n in range(int(start), 10**9):
            apply(collection, n)
            say(n)


def write(folder: str, name: str, batches: str) -> None:
    """Adds that many batches of 1 to 5 records, numbered in one row."""
    with chroma.PersistentClient(folder) as client:
        collection = client.get_collection("shared")
        n = 0
        for batch in range(int(batches)):
            ids = [f"{name}-{n + i}" for i in range(1 + batch % 5)]
            collection.add(
                ids=ids,
                embeddings=vectors_of(ids),
                metadatas=[{"writer": name, "n": n + i} for i in range(len(ids))],
            )
            n += len(ids)
        say(n)


def burst(folder: str, count: str) -> None:
    """Adds single records so fast that only the first of them is noted with its sync, then is idle."""
    log.WATERMARK_SECONDS = 3600.0
    with chroma.PersistentClient(folder) as client:
        collection = client.create_collection("burst", embedding_function=None)
        for n in range(int(count)):
            collection.add(ids=[str(n)], embeddings=[[n, 1.0]])
        say("written")
        sys.stdin.read()


def stopped() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0])


def read(folder: str) -> None:
    """Reads until its stdin says something; says how often, and the first wrong thing it saw."""
    wrong, last, reads = None, 0, 0
    with chroma.PersistentClient(folder) as client:
        collection = client.get_collection("shared")
        say("ready")
        while wrong is None and not stopped():
            count = collection.count()
            got = collection.get(limit=None if reads % 5 == 0 else 50)
            if count < last:
                wrong = f"the count fell from {last} to {count}"
            if reads % 5 == 0:
                wrong = wrong or gap(got["metadatas"])
                if len(got["ids"]) < count:
                    wrong = f"{len(got['ids'])} records after a count of {count}"
            if got["ids"]:
                id = got["ids"][-1]
                hits = collection.query(query_embeddings=vectors_of([id]), n_results=1)["ids"]
                wrong = wrong or (None if hits == [[id]] else f"{id} finds {hits}")
            last, reads = count, reads + 1
    say({"reads": reads, "wrong": wrong})


def gap(metadatas: list[dict[str, Any]]) -> str | None:
    """Every writer's records must be 0, 1, 2, … in this order."""
    following: dict[str, int] = {}
    for metadata in metadatas:
        writer, n = metadata["writer"], metadata["n"]
        if n != following.get(writer, 0):
            return f"{writer}: {n} where {following.get(writer, 0)} should be"
        following[writer] = n + 1
    return None


def serve(folder: str) -> None:
    """Answers {"call": verb, "on": collection or null, "with": arguments} until stdin ends."""
    with chroma.PersistentClient(folder) as client:
        say("ready")
        for line in sys.stdin:
            request = json.loads(line)
            target = client if request["on"] is None else client.get_collection(request["on"])
            try:
                answer = getattr(target, request["call"])(**request["with"])
                say({"answer": plain(answer)})
            except ChromaError as error:
                say({"error": type(error).__name__, "message": str(error)})


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, chroma.WriteReport):
        return asdict(value)
    return value.name if isinstance(value, chroma.Collection) else value


def lines(stream: Any) -> Iterator[Any]:
    for line in stream:
        yield json.loads(line)


ROLES: dict[str, Callable[..., None]] = {
    "script": script,
    "write": write,
    "burst": burst,
    "read": read,
    "serve": serve,
}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
