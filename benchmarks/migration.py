"""Moving a folder of chromadb: 3 tenants, 20 collections, 100,000 records with every type of metadata,
then every record and the answers to queries compared with what chromadb itself says.

    python -m benchmarks.migration --chromadb PYTHON [--records N] [--folder DIR]

PYTHON is an interpreter in whose environment chromadb is installed; it makes the folder and tells what is
in it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

DIMENSION = 128
COLLECTIONS = 20
TENANTS = ("default_tenant", "acme", "globex")
SPACES = ("l2", "cosine", "ip")
QUERIES = 20
BATCH = 2000


def metadata(place: int) -> dict[str, Any] | None:
    """Every type there is; every ninth record has none."""
    if place % 9 == 4:
        return None
    return {
        "int": place - 1000,
        "float": place / 4,
        "whole": float(place),
        "bool": place % 2 == 0,
        "text": f"Größe {place % 977} \U0001f34e",
        "mixed": [place, float(place), place % 2 == 0, str(place)][place % 4],
        "texts": ["b", f"t{place % 13}"],
        "ints": [place, -1],
        "floats": [0.1, place / 3],
        "bools": [True, place % 2 == 0],
    }


def make(folder: str, records: int) -> None:
    """Run by the other Python."""
    import chromadb
    from chromadb.config import Settings

    settings = Settings(is_persistent=True, persist_directory=folder, anonymized_telemetry=False)
    admin = chromadb.AdminClient(settings)
    for tenant in TENANTS[1:]:
        admin.create_tenant(tenant)
        admin.create_database("main", tenant=tenant)
    rng = np.random.default_rng(7)
    for number in range(COLLECTIONS):
        tenant = TENANTS[number % len(TENANTS)]
        database = "default_database" if number % len(TENANTS) == 0 else "main"
        client = chromadb.Client(settings, tenant=tenant, database=database)
        collection = client.create_collection(
            f"collection-{number:02d}",
            configuration={"hnsw": {"space": SPACES[number % 3], "ef_search": 1000}},
            metadata={"number": number, "share": number / 3, "even": number % 2 == 0, "title": "Ü"},
            embedding_function=None,
        )
        count = records // COLLECTIONS
        centres = rng.normal(size=(32, DIMENSION))
        for start in range(0, count, BATCH):
            part = range(start, min(start + BATCH, count))
            near = centres[rng.integers(0, 32, len(part))] + 0.5 * rng.normal(size=(len(part), DIMENSION))
            if SPACES[number % 3] == "ip":  # as it is used: else chromadb's graph misses neighbours
                near /= np.linalg.norm(near, axis=1)[:, None]
            collection.add(
                ids=[f"record-{place}" for place in part],
                embeddings=near.astype(np.float32),
                documents=[None if place % 5 == 2 else f"The text of record {place}." for place in part],
                metadatas=[metadata(place) for place in part],
                uris=[f"file:///{place}" if place % 3 == 0 else None for place in part],
            )
        collection.delete(ids=[f"record-{place}" for place in range(0, count, 101)])
        collection.update(
            ids=[f"record-{place}" for place in range(1, count, 97)],
            embeddings=rng.normal(size=(len(range(1, count, 97)), DIMENSION)).astype(np.float32) / 12,
        )


def dump(folder: str, out: str) -> None:
    """Run by the other Python: everything that its own get() and query() answer."""
    import chromadb
    from chromadb.config import Settings

    settings = Settings(is_persistent=True, persist_directory=folder, anonymized_telemetry=False)
    seconds = 0.0
    for number in range(COLLECTIONS):
        tenant = TENANTS[number % len(TENANTS)]
        database = "default_database" if number % len(TENANTS) == 0 else "main"
        collection = chromadb.Client(settings, tenant=tenant, database=database).get_collection(
            f"collection-{number:02d}"
        )
        begun = time.perf_counter()
        found = collection.get(include=["embeddings", "documents", "metadatas", "uris"])
        seconds += time.perf_counter() - begun
        vectors = np.asarray(found["embeddings"], np.float32)
        queries = vectors[:: len(vectors) // QUERIES][:QUERIES] + np.float32(0.01)
        asked = collection.query(query_embeddings=queries, n_results=10)
        np.savez(f"{out}/{number}.npz", vectors=vectors, queries=queries, distances=asked["distances"])
        told = {
            "id": str(collection.id), "tenant": tenant, "database": database, "name": collection.name,
            "metadata": collection.metadata, "hnsw": collection.configuration_json["hnsw"],
            "ids": found["ids"], "documents": found["documents"], "metadatas": found["metadatas"],
            "uris": found["uris"], "answers": asked["ids"],
        }  # fmt: skip
        Path(out, f"{number}.json").write_text(json.dumps(told), encoding="utf-8")
    print(f"{seconds:.1f}")


def typed(entries: Any) -> list[str]:
    return [json.dumps(entry or None, sort_keys=True) for entry in entries]


def compare(target: str, truth: Path) -> dict[str, int]:
    """Everything counted; raises at the first record that is not the same."""
    import chroma

    counts = dict.fromkeys(
        ("records", "same bits", "queries", "same 10 ids", "same 10 ids, searched exactly here"), 0
    )
    for number in range(COLLECTIONS):
        told = json.loads((truth / f"{number}.json").read_text("utf-8"))
        arrays = np.load(truth / f"{number}.npz")
        with chroma.PersistentClient(target, tenant=told["tenant"], database=told["database"]) as client:
            collection = client.get_collection(told["name"])
            assert str(collection.id) == told["id"]
            assert typed([collection.metadata]) == typed([told["metadata"]])
            assert collection.configuration_json["hnsw"] == told["hnsw"]
            found = collection.get(include=["embeddings", "documents", "metadatas", "uris"])
            assert found["ids"] == told["ids"]
            assert found["documents"] == told["documents"]
            assert found["uris"] == told["uris"]
            assert typed(found["metadatas"]) == typed(told["metadatas"])
            ours = np.asarray(found["embeddings"], np.float32)
            same = (ours.view(np.uint32) == arrays["vectors"].view(np.uint32)).all(1)
            assert same.all()
            counts["records"] += len(ours)
            counts["same bits"] += int(same.sum())
            asked = collection.query(query_embeddings=arrays["queries"], n_results=10)
            exact = collection.query(query_embeddings=arrays["queries"], n_results=10, exact=True)
            for theirs, here, best, far, near in zip(
                told["answers"], asked["ids"], exact["ids"], arrays["distances"], asked["distances"]
            ):
                counts["queries"] += 1
                counts["same 10 ids"] += theirs == here
                counts["same 10 ids, searched exactly here"] += theirs == best
                np.testing.assert_array_less(
                    near[-1], far[-1] + 1e-4 + 1e-3 * abs(far[-1])
                )  # never a worse answer
                if theirs == here:
                    np.testing.assert_allclose(near, far, rtol=1e-3, atol=1e-4)
    return counts


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--chromadb", required=True, metavar="PYTHON")
    options.add_argument("--records", type=int, default=102_000)
    options.add_argument("--folder", type=Path)
    given = options.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    source, target, truth = folder / "old", folder / "new", folder / "truth"
    truth.mkdir(parents=True, exist_ok=True)

    def other(*command: str) -> tuple[str, float]:
        begun = time.perf_counter()
        told = subprocess.run(
            [given.chromadb, __file__, *command], check=True, capture_output=True, text=True
        ).stdout
        return told, time.perf_counter() - begun

    if not source.exists():
        rows = [("chromadb: make the folder", other("make", str(source), str(given.records))[1])]
    else:
        rows = []
    import chroma

    begun = time.perf_counter()
    report = chroma.migrate(source, target, progress=False)
    rows.append(("migrate, with a sample compared", time.perf_counter() - begun))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begun = time.perf_counter()
    again = chroma.migrate(source, target, progress=False, compare_all=True)
    rows.append(("migrate again: all records compared", time.perf_counter() - begun))
    reading, _ = other("dump", str(source), str(truth))  # last, for it changes the folder
    rows.append(("chromadb: get() of everything", float(reading)))
    counts = compare(str(target), truth)

    for what, seconds in rows:
        print(f"{what:<40} {seconds:>10.1f} s")
    print(f"{'peak memory of the migration':<40} {peak:>10.0f} MB")
    print(f"{'records a second':<40} {report.records / report.seconds:>10,.0f}")
    print(f"{'records compared by migrate':<40} {again.compared:>10,}")
    for what, count in counts.items():
        print(f"{what:<40} {count:>10,}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["dump"]:
        dump(sys.argv[2], sys.argv[3])
    else:
        main()
