"""Creates the sample directory of the current format, once per format version.

    python scripts/make_sample.py tests/data/format-3

tests/storage/test_format_<n>.py checks every value in it. A sample is frozen when its format is released. A
later version creates a new folder and never changes the older ones.

To produce every kind of file in a few kilobytes, this script lowers some thresholds and calls the
housekeeper directly: a batch of 12 rows becomes a segment immediately, a graph is built over 44 vectors,
indexes of documents over 24 documents, tombstones and new values are kept, and one log continues in a second
one as after a crash.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import chroma
from chroma import IntInvertedIndexConfig, K, Schema, SparseVector, SparseVectorIndexConfig
from chroma.storage.catalog import catalog
from chroma.storage.collection import compaction, index_builds, postings_cache, record_store
from chroma.storage.filters import document_index
from chroma.storage.interface.values import Records
from chroma.storage.scheduler import Scheduler
from chroma.utils.embedding_functions import ChromaBm25EmbeddingFunction

DIMENSION = 4


def vectors(start: int, count: int) -> Any:
    """Return vectors whose row i is (i, i/8, -i, 1/(i+1)) in float32."""
    i = np.arange(start, start + count, dtype=np.float64)
    return np.stack([i, i / 8, -i, 1 / (i + 1)], axis=1).astype(np.float32)


def types(client: Any, name: str) -> Any:
    """Create a collection with every type of value."""
    made = client.create_collection(name, embedding_function=None, metadata={"purpose": "every type", "n": 7})
    metadatas = [
        {"v": 2},
        {"v": 2.0},
        {"v": True},
        {"v": "2"},
        {"v": False, "int_edges": [-(2**63), 2**63 - 1], "max": 2**63 - 1, "min": -(2**63)},
        {"v": 2**53 + 1, "tiny": 5e-324, "huge": 1.7976931348623157e308, "minus_zero": -0.0},
        {"v": ["a", "", "ß"]},
        {"v": [1, 2, 3]},
        {"v": [1.0, 2.5]},
        {"v": [True, False]},
        {"v": "", "κλειδί": "τιμή", "a.b c": "dots and spaces", "🗝": "🔑"},
        None,
    ]
    made.add(
        ids=[f"t{i:02}" for i in range(12)],
        embeddings=np.array(
            [[0.1, -0.0, 1e-45, 3.4028235e38]] + [[i, i / 3, -i, 1 / 7] for i in range(1, 12)], np.float32
        ),
        metadatas=metadatas,
        documents=[
            "plain",
            "",
            None,
            "line one\nline two",
            "日本語のテキスト",
            "👩‍👩‍👧‍👦 family",
            *["x" * i for i in range(6)],
        ],
        uris=[None, "file:///a", *[None] * 10],
    )
    made.add(ids=["日本/?#", "x\x00y"], embeddings=[[0, 0, 0, 0], [1, 1, 1, 1]])
    return made


def settled(client: Any) -> None:
    """Create two segments with tombstones, one with a graph; rare keys; a log with all kinds of writes."""
    made = client.create_collection(
        "settled", embedding_function=None, configuration={"hnsw": {"space": "cosine", "max_neighbors": 8}}
    )
    records = client._backend.engine.collection(made.tenant, made.database, str(made.id)).store
    made.add(
        ids=[f"r{i}" for i in range(44)],
        embeddings=vectors(0, 44),
        documents=[f"document {i}" for i in range(44)],
        metadatas=[
            {"n": i, "parity": "odd" if i % 2 else "even"} | ({"rare": i} if i == 7 else {})
            for i in range(44)
        ],
    )
    made.compact()  # the first segment, and its graph
    made.delete(ids=["r3", "r11", "r40"])
    made.add(
        ids=["s0", "s1", "s2"], embeddings=vectors(100, 3), metadatas=[{"late": [1, 2]}, None, {"n": 2.5}]
    )
    compaction.compact(records, everything=False)  # tombstones, and a second segment
    made.update(ids=["r5"], metadatas=[{"n": None, "updated": True}])
    made.update(ids=["r4"], embeddings=vectors(4, 1), documents=["document 4, again"])
    made.update(ids=["s1"], embeddings=[[9, 9, 9, 9]])
    made.delete(ids=["r6"])
    made.upsert(ids=["r8", "u0"], embeddings=vectors(200, 2), metadatas=[{"parity": "none"}, {"n": -1}])
    made.add(ids=["r3"], embeddings=vectors(300, 1), documents=["back, at the end"])


def sparse(client: Any, name: str) -> Any:
    """Create a collection with every form of a sparse vector, under keys with and without an index."""
    schema = (
        Schema()
        .create_index(SparseVectorIndexConfig(), key="v")
        .create_index(SparseVectorIndexConfig(bm25=True), key="w")
    )
    made = client.create_collection(name, schema=schema, embedding_function=None)
    metadatas = [
        {"v": SparseVector([1, 5, 9], [0.5, -1.25, 3.4028235e38])},
        {"v": SparseVector([2, 5], [0.1, 1e-45], ["two", ""])},
        {"v": SparseVector([], [])},
        {"v": SparseVector([], [], [])},
        {"v": SparseVector([0, 2**32 - 1], [1.0, -0.0], ["日本", "👩\u200d👩"])},
        {"v": SparseVector([5], [2.0]), "w": SparseVector([5, 6], [1.0, 2.0]), "n": 4},
        {"w": SparseVector([6, 7], [0.25, 1.0])},
        {"mixed": SparseVector([1], [1.0])},
        {"mixed": "text"},
        {"mixed": 8, "w": 8},
        {"mixed": [1.5, 2.5], "v": "none"},
        {"mixed": '{"#type":"sparse_vector","indices":[],"values":[]}'},
        None,
    ]
    made.add(ids=[f"p{i:02}" for i in range(13)], embeddings=vectors(0, 13), metadatas=metadatas)
    return made


def searched(client: Any) -> None:
    """Create two segments with tombstones, of which one has indexes of its documents, and a log with changes.

    The documents become sparse vectors, and filters on one key are switched off.
    """
    bm25 = ChromaBm25EmbeddingFunction(avg_doc_length=5.0, include_tokens=True)
    lexical = SparseVectorIndexConfig(embedding_function=bm25, source_key=K.DOCUMENT, bm25=True)
    schema = Schema().create_index(lexical, key="lex").delete_index(IntInvertedIndexConfig(), key="views")
    made = client.create_collection("searched", schema=schema, embedding_function=None)
    records = client._backend.engine.collection(made.tenant, made.database, str(made.id)).store
    things = ("lamps", "panels", "bread", "clocks", "rivers", "stones")
    verbs = ("shining", "turning", "standing", "falling")
    made.add(
        ids=[f"d{i}" for i in range(24)],
        embeddings=vectors(0, 24),
        documents=[f"The {things[i % 6]} are {verbs[i % 4]}, number {i}." for i in range(24)],
        metadatas=[{"views": i} for i in range(24)],
    )
    made.query(query_texts=["lamps"], mode="lexical")  # from now on, segments have an index of words
    made.compact()
    made.delete(ids=["d2", "d8"])
    made.add(ids=["e0", "e1"], embeddings=vectors(30, 2), documents=["Bread and lamps", "日本語のテキスト"])
    compaction.compact(records, everything=False)  # tombstones, and a second segment
    made.update(ids=["d1"], embeddings=vectors(1, 1), documents=["A panel, and another panel"])
    made.update(ids=["d3"], metadatas=[{"lex": SparseVector([1], [1.0])}])
    made.upsert(ids=["d5", "f0"], embeddings=vectors(40, 2), documents=["nothing", "bread"])
    made.delete(ids=["d14"])


def patched(client: Any, name: str, rows: int) -> None:
    """Create a collection with new values in a file of their own and in a log.

    rows  how many of 24 records have new values before the first compaction, which writes the columns of the
          segment again if they are many
    """
    schema = Schema().create_index(SparseVectorIndexConfig(), key="v")
    made = client.create_collection(name, schema=schema, embedding_function=None)
    store = client._backend.engine.collection(made.tenant, made.database, str(made.id)).store
    made.add(
        ids=[f"p{i:02}" for i in range(24)],
        embeddings=vectors(0, 24),
        documents=[f"page {i}" for i in range(24)],
        metadatas=[{"n": i, "v": SparseVector([i], [1.0])} for i in range(24)],
    )
    made.compact()
    ids = [f"p{i:02}" for i in range(rows)]
    made.update(ids=ids, metadatas=[{"n": -i, "seen": True} for i in range(rows)])
    store.write("update", Records(["p01"], documents=["another page"], uris=["file:///1"]))
    compaction.compact(store, everything=False)
    made.update(ids=["p01", "p23"], metadatas=[{"v": SparseVector([99], [2.0])}, {"n": None, "v": None}])
    compaction.compact(store, everything=False)
    made.add(ids=["q0"], embeddings=vectors(30, 1))
    made.update(ids=["p22", "q0"], metadatas=[{"n": "text"}, {"n": 1}])
    made.update(ids=["p01"], metadatas=[{"seen": None}])


def archive(folder: str) -> None:
    """Create a second tenant and database, segments that only logs name, and a log with a second part."""
    with chroma.AdminClient(chroma.Settings(is_persistent=True, persist_directory=folder)) as admin:
        admin.create_tenant("acme")
        admin.create_database("archive", "acme")
        admin.create_database("nothing-in-it")
    with chroma.PersistentClient(folder, tenant="acme", database="archive") as client:
        made = client.create_collection("chain", embedding_function=None, metadata={"hnsw:space": "ip"})
        records = client._backend.engine.collection("acme", "archive", str(made.id)).store
        made.add(ids=[f"a{i}" for i in range(3)], embeddings=vectors(0, 3), documents=["one", "two", "three"])
        made.add(
            ids=[f"b{i}" for i in range(12)],
            embeddings=vectors(10, 12),
            metadatas=[{"k": f"value {i % 3}"} for i in range(12)],
        )
        with records.writing(), records.changing() as state:
            compaction._rotate(records, state)
        made.add(ids=["c0"], embeddings=vectors(50, 1))
        made.delete(ids=["a1", "b4"])
        client.create_collection("never-written", embedding_function=None)
        client.create_collection("renamed-later", embedding_function=None).modify(name="renamed")
        client.create_collection("gone", embedding_function=None)
        client.delete_collection("gone")
        bulk = client.create_collection("bulk", embedding_function=None)
        bulk.add(
            ids=[f"k{i}" for i in range(12)],
            embeddings=vectors(0, 12),
            metadatas=[{"s": SparseVector([i, 100], [1.0, i / 4])} for i in range(12)],
        )
        for i in range(12):
            bulk.add(ids=[f"m{i}"], embeddings=vectors(20 + i, 1))
        ids = ["k3", *(f"m{i}" for i in range(12))]  # a patch, and a segment in the same frame
        bulk.update(ids=ids, metadatas=[{"late": i} for i in range(13)])


def main(folder: str) -> None:
    if Path(folder).exists():
        raise SystemExit(f"{folder} exists; a sample that was released is never made again")
    index_builds.INDEX_BYTES = 44 * DIMENSION * 4
    document_index.LEAST_BYTES = 1 << 40
    postings_cache.FEW_DOCUMENTS = 24
    Scheduler.submit = lambda *args, **kwargs: None  # disables background work
    with chroma.PersistentClient(folder) as client:
        types(client, "types-in-log")
        types(client, "types-in-segment").compact()
        settled(client)
        sparse(client, "sparse-in-log")
        sparse(client, "sparse-in-segment").compact()
        document_index.LEAST_BYTES = 0
        searched(client)
        patched(client, "patched", 3)
        patched(client, "rewritten", 6)
    record_store.BULK_ROWS = 12
    catalog._REWRITE_FRAMES = 6  # so that catalog.json has some of the entries and its log the rest
    archive(folder)
    for lock in Path(folder).rglob("*.lock"):
        lock.unlink()  # lock files are empty and are created on demand


if __name__ == "__main__":
    main(*sys.argv[1:])
