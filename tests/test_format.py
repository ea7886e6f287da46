"""The programs in FORMAT.md read a database without any code of ours."""

from __future__ import annotations

import json
import re
import shutil
import struct
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest

import chroma
from chroma.storage import manifest
from chroma.storage.catalog import catalog
from chroma.storage.collection import compaction
from chroma.storage.collection.postings_cache import LexicalIndex
from chroma.storage.index import ngrams
from chroma.storage.interface import sparse_vector
from chroma.storage.interface.words import Tokenizer
from chroma.storage.postings import postings_file
from chroma.storage.wal import log

from .support.checks import fill, float32

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "FORMAT.md").read_text("utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.S)


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Segments, tombstones, and a log with every kind of write; the working directory is beside it."""
    folder = tmp_path / "my-database"
    monkeypatch.chdir(tmp_path)
    with chroma.PersistentClient(folder) as client:
        made = client.create_collection("things", embedding_function=None)
        fill(made, 100)
        made.compact()
        made.update(ids=["r9", "r10"], metadatas=[{"n": 99, "ü": "new"}, {"n": None}])
        made.delete(ids=["r3", "r50"])
        records = client._backend.engine.collection(made.tenant, made.database, str(made.id)).store
        compaction.compact(records, everything=False)  # keeps the segment, writes tombstones and new values
        made.add(
            ids=["late", "later"], embeddings=[[5, 5], [6, 6]], metadatas=[{"n": 2.5, "ü": [1, 2]}, None]
        )
        made.update(ids=["r7", "late"], metadatas=[{"n": None}, {"added": True}])
        made.update(ids=["r12"], metadatas=[{"added": True}])
        other = client.create_collection("rewritten", embedding_function=None)
        fill(other, 10)
        other.compact()
        other.update(ids=["r1"], metadatas=[{"n": "one"}])
        other.compact()  # keeps the vectors
        made.delete(ids=["r8", "later"])
        made.add(ids=["r8"], embeddings=[[7, 7]], documents=["back"])
        client.create_collection("empty", embedding_function=None)
        client.create_collection("gone", embedding_function=None)
        client.delete_collection("gone")
    return folder


def run_blocks() -> dict[str, Any]:
    assert not any(
        re.search(r"\bchroma\b", line) for block in BLOCKS for line in block.splitlines() if "import" in line
    )
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "FORMAT.md", "exec"), names)
    return names


def check(names: dict[str, Any], folder: Path, client: Any) -> int:
    """The programs' records are the client's, for every collection of the client's database."""
    made = {info["name"]: info for info in names["collections"](folder).values()}
    count = 0
    for collection in client.list_collections():
        info = made[collection.name]
        assert info["id"] == str(collection.id)
        assert info["metadata"] == collection.metadata
        rows = names["records"](folder / "collections" / info["id"])
        got = collection.get(include=["documents", "metadatas", "uris", "embeddings"])
        assert [row["id"] for row in rows] == got["ids"]
        assert [row["document"] for row in rows] == got["documents"]
        assert [row["uri"] for row in rows] == got["uris"]
        texts = [row["metadata"] for row in rows]
        assert [text and json.loads(text) for text in texts] == [
            entry and sparse_vector.as_json(entry) for entry in got["metadatas"]
        ]
        assert float32([row["vector"] for row in rows]) == got["embeddings"].tobytes()
        count += len(rows)
    return count


def test_programs_read_a_database(database: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_blocks()
    printed = capsys.readouterr().out
    assert "things 99\n" in printed
    assert "int:n" in printed
    with chroma.PersistentClient(database) as client:
        assert check(names, database, client) == 99 + 10
        assert client.count_collections() == 3


OLD = {"chain", "never-written", "renamed", "settled", "types-in-log", "types-in-segment"}
NEW = OLD | {"bulk", "searched", "sparse-in-log", "sparse-in-segment"}


@pytest.mark.parametrize(
    ("folder", "collections", "records", "archived"),
    [
        ("format-1", OLD, 14 + 14 + 45, 14),
        ("format-1-logs-2", OLD, 14 + 14 + 45, 14),
        ("format-2", NEW, 14 + 14 + 45 + 13 + 13 + 24, 14 + 12),
        ("format-3", NEW | {"patched", "rewritten"}, 14 + 14 + 45 + 13 + 13 + 24 + 25 + 25, 14 + 24),
    ],
)
def test_programs_read_the_samples(
    database: Path, tmp_path: Path, folder: str, collections: set[str], records: int, archived: int
) -> None:
    names = run_blocks()
    sample = Path(shutil.copytree(ROOT / "tests" / "data" / folder, tmp_path / "sample"))
    found = names["collections"](sample)
    assert {info["name"] for info in found.values()} == collections
    with chroma.PersistentClient(sample) as client:
        assert check(names, sample, client) == records
    with chroma.PersistentClient(sample, tenant="acme", database="archive") as client:
        assert check(names, sample, client) == archived


def test_filter_columns_stand_beside_the_records(database: Path) -> None:
    """attributes.parquet, sparse.parquet and deleted-* in DuckDB and numpy alone."""
    home = next(database.glob("collections/*/seg-*/deleted-*")).parent
    found = duckdb.execute(f"DESCRIBE SELECT * FROM '{home}/attributes.parquet'").fetchall()
    assert [row[:2] for row in found] == [("int:n", "BIGINT")]
    rows = duckdb.execute(f"SELECT \"int:n\" FROM '{home}/attributes.parquet'").fetchall()
    assert [row[0] for row in rows] == list(range(100))
    (dead,) = home.glob("deleted-*")
    bits = np.unpackbits(np.frombuffer(dead.read_bytes(), np.uint8), bitorder="little")
    assert np.flatnonzero(bits).tolist() == [3, 50]


def test_inverted_indexes_are_as_described() -> None:
    """index-*.idx of sparse vectors and of words, in numpy alone."""
    home = ROOT / "tests" / "data" / "format-2" / "collections"
    kinds = set()
    for file in home.glob("*/seg-*/index-*.idx"):
        data = file.read_bytes()
        magic, version, length = struct.unpack_from("<8sII", data)
        assert (magic, version, (16 + length) % 64) == (b"CHROMIDX", 1, 0)
        header = json.loads(data[16 : 16 + length])
        arrays = {
            name: np.frombuffer(data, dtype, int(np.prod(shape)), 16 + length + offset).reshape(shape)
            for name, (dtype, shape, offset) in header["arrays"].items()
        }
        kinds.add((header["kind"], header["settings"]))
        assert f"| `{header['kind']}` | " in TEXT
        assert f"| `{header['settings']}` |" in TEXT
        assert all(f"`{name}`" in TEXT for name in arrays)
        if header["kind"] == "postings":
            texts = pa.ipc.open_file(pa.memory_map(str(file.with_name("records.arrow")))).read_all()
            found = {}
            for row, text in enumerate(texts.column("metadata").to_pylist()):
                value = json.loads(text or "{}").get(header["key"])
                if isinstance(value, dict):
                    found |= {
                        (term, row): np.float32(number)
                        for term, number in zip(value["indices"], value["values"], strict=True)
                    }
            terms = np.repeat(arrays["terms"], np.diff(arrays["starts"])).tolist()
            pairs = list(zip(terms, arrays["rows"].tolist(), strict=True))
            assert dict(zip(pairs, arrays["values"], strict=True)) == found
            assert pairs == sorted(found)
    assert kinds == {
        (postings_file.KIND, postings_file.SETTINGS),
        ("lexical", LexicalIndex(Tokenizer()).settings),
        ("ngrams", ngrams.SETTINGS),
    }


def test_every_kind_of_file_is_described(database: Path) -> None:
    kinds = {re.sub(r"-[0-9a-f]+(?=\.|$)", "-", path.name) for path in database.rglob("*") if path.is_file()}
    kinds |= {
        catalog.NAME,
        catalog.COPY,
        catalog.LOCK,
        manifest.NAME,
        manifest.COPY,
        "graph-.hnsw",
        "index-.idx",
    }
    assert {kind for kind in kinds if kind not in re.sub(r"-<[^>]*>", "-", TEXT)} == set()


def test_numbers_agree_with_the_code() -> None:
    assert f"Format {manifest.FORMAT}." in TEXT
    assert f"| version of the log format: {log.VERSION} |" in re.sub(r" +", " ", TEXT)
    for number, name in (
        (log.COMMIT, "COMMIT"),
        (log.SEGMENT, "SEGMENT"),
        (log.END, "END"),
        (log.CATALOG, "CATALOG"),
        (log.ROWS, "ROWS"),
        (log.PATCH, "PATCH"),
    ):
        assert f"| {number} {name} |" in TEXT
