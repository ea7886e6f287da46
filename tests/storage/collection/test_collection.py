"""Small named histories that once went wrong, or nearly did."""

from __future__ import annotations

import gc
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.embedded.backend import check_folder
from chroma.storage.segments.memtable import Memtable
from chroma.storage.wal import log as log_module


def _made(folder: Path) -> tuple[Any, Any]:
    client = chroma.PersistentClient(folder)
    collection = client.create_collection("things", embedding_function=None)
    collection.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"n": 1}])
    return client, collection


def _interrupted_add(collection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Memtable, rows: Any) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(Memtable, "append", interrupt)
    with pytest.raises(KeyboardInterrupt):
        collection.add(ids=["b"], embeddings=[[3, 4]], metadatas=[{"n": 1}])


def test_an_interrupt_between_log_and_memory_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, collection = _made(tmp_path)
    assert collection.get(where={"n": 1})["ids"] == ["a"]
    _interrupted_add(collection, monkeypatch)
    collection.add(ids=["c"], embeddings=[[5, 6]], metadatas=[{"n": 1}])
    assert collection.get()["ids"] == collection.get(where={"n": 1})["ids"] == ["a", "b", "c"]
    collection.update(ids=["b"], embeddings=[[9, 9]])
    client.close()
    with chroma.PersistentClient(tmp_path) as client:
        assert client.get_collection("things").get()["ids"] == ["a", "b", "c"]


def test_an_unacknowledged_frame_does_not_come_alive_behind_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "WATERMARK_SECONDS", 0.0)  # recorded with each sync
    client, collection = _made(tmp_path)
    (log,) = tmp_path.glob("collections/*/log-*")
    (synced,) = struct.unpack_from("<Q", log.read_bytes(), 40)
    collection.add(ids=["b"], embeddings=[[3, 4]], metadatas=[{"n": 1}])
    (end,) = struct.unpack_from("<Q", log.read_bytes(), 40)
    collection.delete(ids=["a"])
    client.close()
    data = bytearray(log.read_bytes())
    # A power cut in which the page of the add was lost and that of the delete was not.
    data[synced:end] = bytes(end - synced)
    struct.pack_into("<QQ", data, 40, synced, synced ^ (2**64 - 1))
    log.write_bytes(data)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things")
        assert collection.get()["ids"] == ["a"]
        collection.add(ids=["c"], embeddings=[[5, 6]], metadatas=[{"n": 1}])
        assert collection.get()["ids"] == ["a", "c"]


@pytest.mark.parametrize(
    ("script", "count"),
    [
        ("for r in range(2):\n    c.add(ids=[f'x{r}'], embeddings=[[1, 2]])\n    c.compact()", 3),
        ("c.add(ids=[f'y{i}' for i in range(9000)], embeddings=[[0, 0]] * 9000)\nc.compact()", 9001),
    ],
)
def test_an_idle_reader_follows_files_that_are_gone(tmp_path: Path, script: str, count: int) -> None:
    client, collection = _made(tmp_path)
    assert collection.count() == 1
    head = f"import chroma\nclient = chroma.PersistentClient({str(tmp_path)!r})\n"
    body = f"c = client.get_collection('things')\n{script}\nclient.close()"
    subprocess.run([sys.executable, "-c", head + body], check=True, timeout=60)
    assert collection.count() == count
    client.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_idle_reader_lets_go_of_files_that_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its logs are gone, too, so it loads the collection again instead of following them."""
    index = "from chroma.storage.collection import index_builds\nindex_builds.INDEX_BYTES = 1\n"
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("things", embedding_function=None)
        vectors = np.random.default_rng(0).standard_normal((500, 8))
        ids = [str(row) for row in range(500)]
        collection.add(ids=ids, embeddings=vectors, metadatas=[{"n": row} for row in range(500)])
        collection.compact()
        near = {"query_embeddings": vectors[:1], "n_results": 3}
        for _ in range(3):
            expected = collection.query(**near)["ids"]
        assert len(collection.get(where={"n": {"$lt": 9}}, limit=5)["ids"]) == 5
        assert len(collection.facets("n")["n"]) > 1
        (held,) = client._backend.engine._open.values()
        (view,) = held.store.snapshot().views
        gone = view.source.name
        assert held._prepared is not None and held.graphs._loaded and held.store.columns._entries
        del view
        body = (
            f"import chroma\n{index}client = chroma.PersistentClient({str(tmp_path)!r})\n"
            "c = client.get_collection('things')\nfor r in range(2):\n"
            "    c.add(ids=[f'x{r}'], embeddings=[[100 + r] * 8])\n    c.compact()\nclient.close()"
        )
        subprocess.run([sys.executable, "-c", body], check=True, timeout=60)
        assert collection.count() == 502
        gc.collect()
        kept = (held.graphs._loaded, held.store.filters._parts, held.store.columns._entries)
        assert not any(gone in name for names in kept for name in names)
        assert held._prepared is None
        assert gone not in Path("/proc/self/maps").read_text()
        assert collection.query(**near)["ids"] == expected


def test_a_folder_made_anew_under_an_open_client_is_a_new_database(tmp_path: Path) -> None:
    import shutil

    old, _ = _made(tmp_path / "db")
    shutil.rmtree(tmp_path / "db")
    new = chroma.PersistentClient(tmp_path / "db")
    assert new.list_collections() == []
    new.create_collection("fresh", embedding_function=None).add(ids=["x"], embeddings=[[1]])
    new.close()
    old.close()


def test_a_repair_keeps_every_frame_that_is_intact(tmp_path: Path) -> None:
    client, collection = _made(tmp_path)
    for name in "bcdef":
        collection.add(ids=[name], embeddings=[[1, 2]])
    client.close()
    (log,) = tmp_path.glob("collections/*/log-*")
    data = bytearray(log.read_bytes())
    data[64 + 60] ^= 0xFF  # in the first frame
    log.write_bytes(data)
    report = check_folder(str(tmp_path), repair=True)
    (finding,) = [finding for finding in report.findings if finding.severity == "repaired"]
    assert "1 writes are lost, 5 kept" in finding.message
    assert list((tmp_path / "quarantine").rglob("log-*"))
    with chroma.PersistentClient(tmp_path) as client:
        assert client.get_collection("things").get()["ids"] == list("bcdef")


def test_small_collections_count_as_indexed(tmp_path: Path) -> None:
    client, collection = _made(tmp_path)
    assert collection.get_indexing_status().op_indexing_progress == 1.0
    client.close()


def test_filter_columns_stay_within_the_memory_budget(tmp_path: Path) -> None:
    settings = chroma.Settings(chroma_memory_limit_bytes=500_000)
    with chroma.PersistentClient(tmp_path, settings=settings) as client:
        for name in ("one", "two", "three"):
            collection = client.create_collection(name, embedding_function=None)
            rows = range(20_000)
            collection.add(
                ids=[str(i) for i in rows], embeddings=[[i] for i in rows], metadatas=[{"n": i} for i in rows]
            )
            assert collection.count(where={"n": {"$lt": 10}}) == 10
        budget = client._backend.engine.services.budget
        assert budget.used() <= 500_000


def test_large_batches_are_written_while_the_interpreter_ends(tmp_path: Path) -> None:
    code = (
        "import sys, threading, time, numpy as np, chroma\n"
        "things = chroma.PersistentClient(sys.argv[1]).create_collection('things', embedding_function=None)\n"
        "def work():\n"
        "    threading.main_thread().join()\n"
        "    things.add(ids=[str(n) for n in range(5000)], embeddings=np.ones((5000, 8), np.float32))\n"
        "    print(things.count())\n"
        "threading.Thread(target=work).start()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    assert done.stdout.strip() == "5000", done.stderr
