"""What a process that works with single records does not load."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

from chroma.storage.arrow.lazy_pyarrow import pa

PLAIN = """
import sys
import chroma
for client in (chroma.PersistentClient(sys.argv[1]), chroma.EphemeralClient()):
    notes = client.get_or_create_collection("notes")
    notes.add(ids=["a"], embeddings=[[1.0, 2.0]], documents=["one"], metadatas=[{"n": 1}])
    notes.upsert(ids=["b", "c"], embeddings=[[2.0, 2.0], [3.0, 1.0]])
    notes.update(ids=["b"], metadatas=[{"m": "x"}])
    notes.delete(ids=["c"])
    assert notes.count() in (2, 302)
    assert notes.get(ids=["a"], include=["embeddings", "documents", "metadatas"])["documents"] == ["one"]
    assert notes.get(limit=2)["ids"] and notes.peek(1)["ids"]
    assert notes.query(query_embeddings=[[1.0, 2.0]], n_results=2)["ids"][0]
    assert notes.query(query_embeddings=[[1.0, 2.0], [0.0, 1.0]], n_results=300)["ids"][0]
    client.close()
print(*sorted({"pyarrow", "duckdb", "pandas"} & {name.split(".")[0] for name in sys.modules}))
"""

MUCH = """
import sys
import numpy as np
import chroma
with chroma.PersistentClient(sys.argv[1]) as client:
    notes = client.create_collection("notes", embedding_function=None)
    names = [str(number) for number in range(6000)]
    some = [{"n": n, "f": n / 3, "even": n % 2 == 0, "s": str(n % 50)} for n in range(6000)]
    for n in range(0, 6000, 3):
        some[n]["third"] = n
    for n in range(0, 6000, 600):
        some[n] |= {"rare": n, "tags": ["a", str(n)]}
    vectors = np.random.default_rng(0).standard_normal((6000, 4), np.float32)
    notes.add(ids=names, embeddings=vectors, documents=names, metadatas=some)
    notes.update(ids=names[4999::-1], metadatas=[{"n": -n} for n in range(5000)])
    notes.delete(ids=names[:10])
    notes.add(ids=["new"], embeddings=[[1, 2, 3, 4]], documents=["new"], metadatas=[{"n": 7, "tags": ["a"]}])
    for _ in range(2):
        for where in (
            {"n": {"$gt": 10}}, {"s": "7"}, {"s": {"$in": ["7", "8"]}}, {"rare": 600}, {"third": {"$ne": 3}},
            {"tags": {"$contains": "a"}}, {"even": True}, {"$and": [{"s": "7"}, {"f": {"$lt": 99.5}}]},
        ):
            assert notes.query(query_embeddings=[[1, 2, 3, 4]], n_results=3, where=where)["ids"][0], where
        for text in ("59", "5999999999999999999999999"):
            notes.get(where_document={"$contains": text})
        notes.get(where_document={"$regex": "^5.9$"})
        notes.compact()
    assert notes.to_arrow().num_rows == 5991
print(*sorted({"pandas"} & {name.split(".")[0] for name in sys.modules}))
"""


def test_much_is_written_filtered_and_merged_without_pandas(tmp_path: Path) -> None:
    """Arrow's own conversions load it where it is installed: 0.2 s of the first call, and 30 MB."""
    done = subprocess.run(
        [sys.executable, "-c", MUCH, str(tmp_path / "db")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_single_records_are_written_read_and_found_without_arrow(tmp_path: Path) -> None:
    import chroma

    with chroma.PersistentClient(tmp_path / "db") as client:
        notes = client.create_collection("notes")
        names = [f"sealed {number}" for number in range(300)]
        notes.add(ids=names, embeddings=[[1.0, number] for number in range(300)], documents=names)
        notes.compact()
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(tmp_path / "db")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_a_late_module_can_be_copied() -> None:
    assert copy.copy(pa).int64() == pa.int64()
