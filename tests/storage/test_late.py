"""What a process that works with single records does not load."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

from chroma.storage.late import pa

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
