"""Run by another Python, where some release of chromadb is installed:

    python original.py make FOLDER COPY FILE   makes FOLDER with every kind of record that the release knows,
                                               and writes to FILE what its get() and query() answer
    python original.py tell FOLDER FILE        the latter alone

Telling changes a folder, as every opening by chromadb does; hence the copy.
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
from typing import Any

import chromadb
import numpy as np
from chromadb.config import Settings

VERSION = tuple(int(part) for part in chromadb.__version__.split(".")[:2])
LISTS = VERSION >= (1, 5)
BOOLEANS = VERSION >= (0, 5) or chromadb.__version__ in ("0.4.15", "0.4.24")
DIMENSION = 6


def settings(folder: str) -> Any:
    return Settings(
        is_persistent=True, persist_directory=folder, anonymized_telemetry=False, allow_reset=True
    )


def client(folder: str, tenant: str = "default_tenant", database: str = "default_database") -> Any:
    if not hasattr(chromadb, "AdminClient"):  # before 0.4.15
        return chromadb.Client(settings(folder))
    return chromadb.Client(settings(folder), tenant=tenant, database=database)


def metadata(place: int) -> dict[str, Any] | None:
    """None, or a mapping with every type of value."""
    if place % 7 == 3:
        return None
    found: dict[str, Any] = {
        "int": place,
        "float": float(place),
        "same": [place, float(place), place % 2 == 0 if BOOLEANS else "no", str(place)][place % 4],
        "text": f"größe {place} \U0001f34e",
        "big": 2**53 + place,
        "tiny": 0.1 + place,
        "minus": -place,
    }
    if place % 5 and BOOLEANS:
        found["bool"] = place % 2 == 0
    if place % 11 == 0:
        found["empty"] = ""
    if LISTS:
        found["texts"] = ["b", "a", f"t{place}"]
        found["ints"] = [3, place, 1]
        found["floats"] = [1.0, 0.5 + place]
        found["bools"] = [True, False, True]
    return found


def fill(collection: Any, records: int, seed: int) -> None:
    """Adds, and then everything that can be done to what was added."""
    rng = np.random.default_rng(seed)
    vectors = (rng.normal(size=(records, DIMENSION)) * 10.0 ** rng.integers(-3, 4, (records, 1))).astype(
        np.float32
    )
    ids = [f"id-{place}" for place in range(records)]
    for start in range(0, records, 40):
        part = range(start, min(start + 40, records))
        with_document = [place for place in part if place % 3]
        without = [place for place in part if not place % 3]
        for places, documents in ((with_document, True), (without, False)):
            if not places:
                continue
            columns: dict[str, Any] = {}
            if documents:
                columns["documents"] = [f"text {place}\nof\t“{place}”" for place in places]
            with_metadata = [place for place in places if metadata(place)]
            bare = [place for place in places if not metadata(place)]
            for chosen, given in ((with_metadata, True), (bare, False)):
                if not chosen:
                    continue
                if documents:
                    columns["documents"] = [f"text {place}\nof\t“{place}”" for place in chosen]
                collection.add(
                    ids=[ids[place] for place in chosen],
                    embeddings=vectors[chosen].tolist(),
                    **({"metadatas": [metadata(place) for place in chosen]} if given else {}),
                    **columns,
                )
    new = rng.normal(size=(12, DIMENSION)).astype(np.float32).tolist()
    collection.delete(ids=[ids[1], ids[2]])
    collection.update(ids=[ids[3]], embeddings=[new[0]])
    collection.update(ids=[ids[4]], metadatas=[{"int": 7.5, "more": "yes"}])
    collection.update(ids=[ids[4], ids[5]], documents=["changed", "changed too"], embeddings=new[7:9])
    collection.upsert(
        ids=[ids[5], "new", ids[1]], embeddings=new[1:4], metadatas=[{"up": BOOLEANS or "yes"}] * 3
    )
    collection.add(ids=[ids[6] if records > 6 else ids[0], "late"], embeddings=new[4:6], documents=["x", ""])
    if VERSION >= (0, 5):
        collection.add(ids=["pointing"], embeddings=[new[6]], uris=["file:///a b.png"])


def make(folder: str) -> None:
    places = [("default_tenant", "default_database")]
    if hasattr(chromadb, "AdminClient"):
        admin = chromadb.AdminClient(settings(folder))
        admin.create_tenant("acme")
        admin.create_database("archive", tenant="acme")
        admin.create_database("second", tenant="default_tenant")
        places += [("acme", "archive"), ("default_tenant", "second")]
    seed = 0
    for tenant, database in places:
        opened = client(folder, tenant, database)
        first = database == "default_database"
        for space in ("l2", "cosine", "ip") if first else ("cosine",):
            for records in (7, 150):
                seed += 1
                collection = opened.create_collection(
                    f"{space}-{records}",
                    metadata={
                        "hnsw:space": space, "hnsw:batch_size": 20, "hnsw:sync_threshold": 50, "hnsw:M": 8,
                        "hnsw:search_ef": 300, "owner": "me", "size": records, "share": 0.5,
                    },
                    embedding_function=None,
                )  # fmt: skip
                fill(collection, records, seed)
        if not first:
            continue
        opened.create_collection("empty", embedding_function=None)
        plain = opened.create_collection("with-default-function")
        plain.add(ids=["a", "b"], embeddings=[[1.0, 2.0], [3.0, 4.5]], documents=["A", "B"])
        opened.create_collection("gone", embedding_function=None).add(ids=["x"], embeddings=[[1.0]])
        opened.delete_collection("gone")
        renamed = opened.create_collection("before", embedding_function=None)
        renamed.add(ids=["x", "y"], embeddings=[[1.0], [2.0]])
        renamed.modify(name="after", metadata={"changed": 1})
        emptied = opened.create_collection("emptied", embedding_function=None)
        emptied.add(ids=["x", "y"], embeddings=[[1.0], [2.0]])
        emptied.delete(ids=["x", "y"])
        if VERSION >= (1, 0):
            configured = opened.create_collection(
                "configured",
                configuration={"hnsw": {"space": "cosine", "ef_search": 77, "max_neighbors": 12}},
            )
            configured.add(ids=["x", "y"], embeddings=[[3.0, 4.0], [2.0, 0.1]])
            if VERSION >= (1, 5):
                configured.modify(configuration={"hnsw": {"ef_search": 88}})


def dump(folder: str, out: str) -> None:
    places = [("default_tenant", "default_database")]
    if hasattr(chromadb, "AdminClient"):
        places += [("acme", "archive"), ("default_tenant", "second")]
    told = []
    for tenant, database in places:
        opened = client(folder, tenant, database)
        for listed in opened.list_collections():
            name = listed if isinstance(listed, str) else listed.name
            collection = opened.get_collection(name, embedding_function=None)
            include = ["embeddings", "documents", "metadatas"] + (["uris"] if VERSION >= (0, 5) else [])
            found = collection.get(include=include)
            vectors = np.asarray(found["embeddings"] if found["ids"] else np.empty((0, 0)), np.float64)
            assert np.array_equal(vectors.astype(np.float32), vectors)
            answers = []
            if len(found["ids"]) > 3:
                queries = vectors[:: max(1, len(vectors) // 5)][:5]
                asked = collection.query(query_embeddings=queries.tolist(), n_results=5)
                answers = [
                    {"vector": list(vector), "ids": ids, "distances": list(distances)}
                    for vector, ids, distances in zip(queries, asked["ids"], asked["distances"])
                ]
            told.append(
                {
                    "tenant": tenant,
                    "database": database,
                    "id": str(collection.id),
                    "name": name,
                    "metadata": collection.metadata,
                    "configuration": getattr(collection, "configuration_json", None)
                    if VERSION >= (1, 0)
                    else None,
                    "ids": found["ids"],
                    "vectors": base64.b64encode(vectors.astype("<f4").tobytes()).decode(),
                    "dimension": vectors.shape[1] if len(vectors) else None,
                    "documents": found["documents"],
                    "metadatas": found["metadatas"],
                    "uris": found.get("uris"),
                    "answers": answers,
                }
            )
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"version": chromadb.__version__, "collections": told}, file)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        made, copy, out = sys.argv[2:]
        make(made)
        shutil.copytree(made, copy)
        dump(copy, out)
    else:
        dump(*sys.argv[2:])
