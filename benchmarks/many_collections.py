"""Ten thousand small collections in one database: create, fill, list, open one in a new process.

python benchmarks/many_collections.py [COUNT]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import chroma

OPEN_ONE = """
import sys, time
start = time.perf_counter()
import chroma
with chroma.PersistentClient(sys.argv[1]) as client:
    one = client.get_collection("c04999" if client.count_collections() > 4999 else "c00000")
    found = one.query(query_embeddings=[[1.0, 2.0]], n_results=1)["ids"]
    assert found == [["a"]], found
    print(f"new process, open and query one: {time.perf_counter() - start:.2f} s")
"""


def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="many-") as folder, chroma.PersistentClient(folder) as client:
        start = time.perf_counter()
        made = [client.create_collection(f"c{i:05d}", embedding_function=None) for i in range(count)]
        print(f"create: {count / (time.perf_counter() - start):,.0f}/s")
        start = time.perf_counter()
        for collection in made:
            collection.add(ids=["a", "b"], embeddings=[[1, 2], [3, 4]], metadatas=[{"n": 1}, {"n": 2}])
        print(f"first add: {count / (time.perf_counter() - start):,.0f}/s")
        start = time.perf_counter()
        assert len(client.list_collections()) == count
        print(f"list: {time.perf_counter() - start:.3f} s")
        start = time.perf_counter()
        for collection in made[:: max(1, count // 1000)]:
            assert collection.count() == 2
        print(f"touch a thousand: {time.perf_counter() - start:.2f} s")
        print(
            subprocess.run(
                [sys.executable, "-c", OPEN_ONE, folder], capture_output=True, text=True
            ).stdout.strip()
        )


if __name__ == "__main__":
    main(int((sys.argv[1:2] or ["10000"])[0]))
