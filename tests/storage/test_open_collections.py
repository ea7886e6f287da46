"""Any number of collections with few descriptors: idle collections give theirs back."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from chroma.storage import engine

_PROGRAM = """
import os, resource, sys
from concurrent.futures import ThreadPoolExecutor
resource.setrlimit(resource.RLIMIT_NOFILE, (LEAST, LEAST))
import chroma
clients = [chroma.PersistentClient(f"{sys.argv[1]}/{n}") for n in range(DATABASES)]
def fill(number):
    client = clients[number % len(clients)]
    made = client.get_or_create_collection(f"things{number}", embedding_function=None)
    made.add(ids=["a", "b"], embeddings=[[1.0, 2.0], [3.0, 4.0]], metadatas=[{"n": number}] * 2)
    return made
with ThreadPoolExecutor(4) as pool:
    handles = list(pool.map(fill, range(COUNT)))
    def use(made):
        made.upsert(ids=["c"], embeddings=[[5.0, 6.0]])
        return made.count() + len(made.query(query_embeddings=[[1.0, 2.0]])["ids"][0])
    assert list(pool.map(use, handles)) == [6] * COUNT
    assert list(pool.map(use, handles[::-1])) == [6] * COUNT
for client in clients:
    client.compact()
    assert len(client.list_collections()) == COUNT // len(clients)
clients[0].backup(f"{sys.argv[1]}/backup")
assert [made.fork(f"{made.name}-fork").count() for made in handles[:40]] == [3] * 40
print(len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0)
"""


@pytest.mark.parametrize(("limit", "databases", "count"), [(96, 1, 110), (96, 3, 60)])
def test_more_collections_than_descriptors(tmp_path: Path, limit: int, databases: int, count: int) -> None:
    program = _PROGRAM.replace("LEAST", str(limit)).replace("DATABASES", str(databases))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program.replace("COUNT", str(count)), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) < limit / 2


def test_the_number_follows_the_limit_and_the_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    def most(limit: int, engines: int) -> int:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
        return engine._most_open(engines)

    assert most(1 << 20, 1) == most(resource.RLIM_INFINITY, 1) == 256
    assert most(256, 1) == 64 and most(256, 4) == 16
    assert most(256, 1000) == most(2, 1) == 1
    assert os.name == "posix"
