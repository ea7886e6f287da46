"""Folders like those of chromadb 1.5, written table by table and byte by byte."""

from __future__ import annotations

import hashlib
import json
import pickle
import sqlite3
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = """
CREATE TABLE tenants (id TEXT PRIMARY KEY);
CREATE TABLE databases (id TEXT PRIMARY KEY, name TEXT NOT NULL, tenant_id TEXT NOT NULL);
CREATE TABLE collections (
    id TEXT PRIMARY KEY, name TEXT, dimension INTEGER, database_id TEXT, config_json_str TEXT);
CREATE TABLE collection_metadata (
    collection_id TEXT, key TEXT, str_value TEXT, int_value INTEGER, float_value REAL, bool_value INTEGER);
CREATE TABLE segment_metadata (
    segment_id TEXT, key TEXT, str_value TEXT, int_value INTEGER, float_value REAL, bool_value INTEGER);
CREATE TABLE segments (id TEXT PRIMARY KEY, type TEXT, scope TEXT, collection TEXT);
CREATE TABLE max_seq_id (segment_id TEXT PRIMARY KEY, seq_id INTEGER);
CREATE TABLE embeddings (
    id INTEGER PRIMARY KEY, segment_id TEXT, embedding_id TEXT, seq_id BLOB,
    UNIQUE (segment_id, embedding_id));
CREATE TABLE embedding_metadata (
    id INTEGER, key TEXT, string_value TEXT, int_value INTEGER, float_value REAL, bool_value INTEGER,
    PRIMARY KEY (id, key));
CREATE TABLE embeddings_queue (
    seq_id INTEGER PRIMARY KEY, operation INTEGER, topic TEXT, id TEXT, vector BLOB, encoding TEXT,
    metadata TEXT);
"""


@dataclass
class Made:
    """A collection: `indexed` of its records are in the index files, and no longer in the log."""

    name: str
    vectors: np.ndarray[Any, Any]
    tenant: str = "default_tenant"
    database: str = "default_database"
    space: str = "l2"
    indexed: int = 0
    function: Any = None
    metadata: dict[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    segment: str = field(default_factory=lambda: str(uuid.uuid4()))
    rows: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def ids(self) -> list[str]:
        return [f"id-{place}" for place in range(len(self.vectors))]

    def record(self, place: int) -> dict[str, Any]:
        """The metadata, document included, of a record."""
        return {"chroma:document": f"text {place}", "n": place, "half": place / 2, "even": place % 2 == 0}


def vectors(records: int, dimension: int = 4, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(records, dimension)).astype(np.float32)


def write(folder: Path, collections: Sequence[Made], tenants: Sequence[str] = ()) -> sqlite3.Connection:
    """Make it; the connection that is returned may be used to spoil it, and is to be closed."""
    folder.mkdir(parents=True)
    database = sqlite3.connect(folder / "chroma.sqlite3")
    database.executescript(SCHEMA)
    databases: dict[tuple[str, str], str] = {}
    for place in [
        ("default_tenant", "default_database"),
        *((made.tenant, made.database) for made in collections),
    ]:
        if place not in databases:
            databases[place] = str(uuid.uuid4())
            database.execute("INSERT INTO databases VALUES (?, ?, ?)", (databases[place], place[1], place[0]))
    for tenant in sorted({tenant for tenant, _ in databases} | set(tenants)):
        database.execute("INSERT INTO tenants VALUES (?)", (tenant,))
    number = row = 0
    for made in collections:
        configuration = {"vector_index": {"hnsw": {"space": made.space}}, "embedding_function": made.function}
        database.execute(
            "INSERT INTO collections VALUES (?, ?, ?, ?, ?)",
            (
                made.id, made.name, made.vectors.shape[1], databases[made.tenant, made.database],
                json.dumps(configuration),
            ),
        )  # fmt: skip
        for key, value in made.metadata.items():
            database.execute(
                "INSERT INTO collection_metadata VALUES (?, ?, ?, NULL, NULL, NULL)", (made.id, key, value)
            )
        for id, scope in ((made.segment, "VECTOR"), (made.rows, "METADATA")):
            database.execute("INSERT INTO segments VALUES (?, 'urn', ?, ?)", (id, scope, made.id))
        first = number
        for place, id in enumerate(made.ids):
            number, row = number + 1, row + 1
            database.execute("INSERT INTO embeddings VALUES (?, ?, ?, ?)", (row, made.rows, id, number))
            for key, value in made.record(place).items():
                database.execute(
                    "INSERT INTO embedding_metadata VALUES (?, ?, ?, ?, ?, ?)", (row, key, *columns(value))
                )
            if place >= made.indexed:
                database.execute(
                    "INSERT INTO embeddings_queue VALUES (?, 0, ?, ?, ?, 'FLOAT32', '{}')",
                    (number, f"persistent://default/default/{made.id}", id, made.vectors[place].tobytes()),
                )
        database.execute("INSERT INTO max_seq_id VALUES (?, ?)", (made.rows, number))
        if made.indexed:
            database.execute("INSERT INTO max_seq_id VALUES (?, ?)", (made.segment, first + made.indexed))
            index(folder / made.segment, made)
    database.commit()
    return database


def columns(value: Any) -> tuple[Any, Any, Any, Any]:
    return (
        value if isinstance(value, str) else None,
        value if isinstance(value, int) and not isinstance(value, bool) else None,
        value if isinstance(value, float) else None,
        value if isinstance(value, bool) else None,
    )


def log(
    database: sqlite3.Connection, made: Made, operation: int, id: str, vector: Any, metadata: str
) -> None:
    """One more entry in the log, which neither the tables nor the index have."""
    (last,) = database.execute("SELECT max(n) FROM (SELECT max(seq_id) AS n FROM embeddings_queue UNION "
                               "SELECT max(seq_id) FROM max_seq_id)").fetchone()  # fmt: skip
    blob = None if vector is None else np.asarray(vector, np.float32).tobytes()
    database.execute(
        "INSERT INTO embeddings_queue VALUES (?, ?, ?, ?, ?, 'FLOAT32', ?)",
        (last + 1, operation, f"persistent://default/default/{made.id}", id, blob, metadata),
    )
    database.commit()


def index(folder: Path, made: Made) -> None:
    """The index files of the first records, in another order than theirs."""
    folder.mkdir()
    count, dimension = made.indexed, made.vectors.shape[1]
    links = 4 + 4 * 32
    order = np.random.default_rng(1).permutation(count)
    stored = made.vectors[:count]
    lengths = np.full(count, np.nan, np.float32)
    if made.space == "cosine":
        lengths = np.sqrt((stored * stored).sum(1))
        stored = stored / lengths[:, None]
    size = links + 4 * dimension + 8
    with open(folder / "header.bin", "wb") as file:
        file.write(struct.pack("<iQQQQQQ", 1, 0, 2 * count, count, size, size - 8, links) + bytes(48))
    with open(folder / "data_level0.bin", "wb") as file:
        for place in order:
            file.write(bytes(links) + stored[place].tobytes() + struct.pack("<Q", int(place) + 1))
    lengths[order].tofile(folder / "length.bin")
    told = {"id_to_label": {id: place + 1 for place, id in enumerate(made.ids[:count])}, "max_seq_id": None}
    (folder / "index_metadata.pickle").write_bytes(pickle.dumps(told, protocol=4))


def hashes(folder: Path) -> dict[str, str]:
    """Every file under a folder, with what it contains."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
