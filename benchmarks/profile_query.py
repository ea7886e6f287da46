"""Where the microseconds of a query go, by part.

    python benchmarks/profile_query.py [DATA]        DATA as for bench.py

Prints the time per query in each part, from cProfile: its own overhead makes the sum larger than a bare
query, so read the shares.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import data
from systems.chroma import Driver

PARTS = {
    "the whole query": ("collection.py", "query"),
    "- reading the arguments": ("collection.py", "_query_vectors"),
    "- is there anything new? (catalog)": ("catalog.py", "scoped"),
    "- is there anything new? (log, manifest)": ("collection.py", "snapshot"),
    "- the index": ("hnsw.py", "search"),
    "    of it hnswlib": ("~", "knn_query"),
    "- exact distances of what it found": ("distance.py", "exact"),
    "- rank and merge": ("search.py", "_rank"),
    "- ids, documents, metadata of the hits": ("snapshot.py", "read"),
    "- the result as dict of lists": ("results.py", "query_result"),
}


def main(source: str) -> None:
    rows, queries = data.load(source)
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        system = Driver(f"{folder}/db", rows.vectors.shape[1])
        system.open()
        system.add(rows)
        system.settle()
        system.set_knob(32)
        for vector in queries[:50]:
            system.query(vector)
        profile = cProfile.Profile()
        profile.enable()
        for vector in queries:
            system.query(vector)
        profile.disable()
        system.close()
    spent = {}
    for (file, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        spent.setdefault((Path(file).name, name.split(".")[-1].strip("<>' ")), []).append(cumulative)
    for part, key in PARTS.items():
        found = spent.get(key) or [max(v) for k, v in spent.items() if key[1] in k[1]]
        print(f"{part:45} {max(found) / len(queries) * 1e6:7.1f} µs")


if __name__ == "__main__":
    main((sys.argv[1:2] or ["synthetic:50000:384"])[0])
