"""How fast records are found by words, and by words and vectors together, beside Qdrant Edge and LanceDB.

Run as: python benchmarks/hybrid.py FILE.parquet [--rounds N] [--envs FOLDER] [--systems chroma ...]

The file has the columns id, text and embedding. Queries are texts of the file with their vectors. Each system
runs in a process of its own and has one turn per round, so that what else happens on the machine meets all of
them. A figure is the median over the rounds of the median of a turn's queries, in milliseconds. All of them
return ten ids: `words` by BM25, `hybrid` by reciprocal ranks (k = 10) of 100 candidates each.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

QUERIES, TURN = 400, 100
SYSTEMS = ("chroma", "qdrant_edge", "lancedb")
Search = Callable[[int], list[str]]


class Data:
    def __init__(self, file: str) -> None:
        import numpy as np
        import pyarrow.parquet as pq

        table = pq.read_table(file, columns=["id", "text", "embedding"])
        self.ids = [str(each) for each in table.column("id").to_pylist()]
        self.texts = table.column("text").to_pylist()
        flat = np.concatenate([chunk.flatten().to_numpy() for chunk in table.column("embedding").chunks])
        self.vectors = flat.astype(np.float32).reshape(len(self.ids), -1)
        self.queries = np.random.default_rng(7).choice(len(self.ids), QUERIES, replace=False).tolist()


def chroma(data: Data, folder: str) -> dict[str, Search]:
    import chroma
    from chroma import Knn, Rrf, Schema, Search, SparseVectorIndexConfig, VectorIndexConfig
    from chroma.utils.embedding_functions import ChromaBm25EmbeddingFunction

    function = ChromaBm25EmbeddingFunction()
    schema = Schema().create_index(VectorIndexConfig(space="cosine"))
    schema.create_index(
        SparseVectorIndexConfig(embedding_function=function, source_key="#document", bm25=True), key="lex"
    )
    client = chroma.PersistentClient(folder)
    start = time.perf_counter()
    collection = client.create_collection("words", schema=schema, embedding_function=None)
    for first in range(0, len(data.ids), 10_000):
        part = slice(first, first + 10_000)
        collection.add(ids=data.ids[part], embeddings=data.vectors[part], documents=data.texts[part])
    print(f"chroma: loaded in {time.perf_counter() - start:.2f} s", file=sys.stderr)
    collection.compact()
    sparse = function([data.texts[row] for row in data.queries])

    def words(number: int) -> list[str]:
        rank = Knn(sparse[number], key="lex", limit=10)
        return collection.search(Search(rank=rank).limit(10))["ids"][0]

    def lexical(number: int) -> list[str]:
        text = data.texts[data.queries[number]]
        return collection.query(query_texts=[text], mode="lexical", n_results=10, include=[])["ids"][0]

    def hybrid(number: int) -> list[str]:
        vector = data.vectors[data.queries[number]]
        leaves = [
            Knn(vector, limit=100, return_rank=True, default=1000.0),
            Knn(sparse[number], key="lex", limit=100, return_rank=True, default=1000.0),
        ]
        return collection.search(Search(rank=Rrf(leaves, k=10)).limit(10))["ids"][0]

    def mode(number: int) -> list[str]:
        row = data.queries[number]
        found = collection.query(
            query_embeddings=data.vectors[row : row + 1],
            query_texts=[data.texts[row]],
            mode="hybrid",
            n_results=10,
            include=[],
        )
        return found["ids"][0]

    def dense(number: int) -> list[str]:
        row = data.queries[number]
        found = collection.query(query_embeddings=data.vectors[row : row + 1], n_results=10, include=[])
        return found["ids"][0]

    return {"words": words, "lexical mode": lexical, "hybrid": hybrid, "hybrid mode": mode, "dense": dense}


def qdrant_edge(data: Data, folder: str) -> dict[str, Search]:
    import qdrant_edge as q

    model = q.Bm25(q.Bm25Config())
    config = q.EdgeConfig(
        vectors={"dense": q.EdgeVectorParams(data.vectors.shape[1], q.Distance.Cosine)},
        sparse_vectors={"lex": q.EdgeSparseVectorParams(modifier=q.Modifier.Idf)},
    )
    shard = q.EdgeShard.create(folder, config)
    start = time.perf_counter()
    for first in range(0, len(data.ids), 2_000):
        points = [
            q.Point(
                row,
                {"dense": data.vectors[row].tolist(), "lex": model.embed_document(data.texts[row])},
                {"id": data.ids[row]},
            )
            for row in range(first, min(first + 2_000, len(data.ids)))
        ]
        shard.update(q.UpdateOperation.upsert_points(points))
    print(f"qdrant_edge: loaded in {time.perf_counter() - start:.2f} s", file=sys.stderr)
    shard.optimize()
    sparse = [model.embed_query(data.texts[row]) for row in data.queries]
    dense_queries = [data.vectors[row].tolist() for row in data.queries]

    def ids(found: list[Any]) -> list[str]:
        return [str(point.id) for point in found]

    def words(number: int) -> list[str]:
        query = q.Query.Nearest(sparse[number], using="lex")
        return ids(shard.query(q.QueryRequest(10, query=query)))

    def hybrid(number: int) -> list[str]:
        prefetches = [
            q.Prefetch(100, query=q.Query.Nearest(dense_queries[number], using="dense")),
            q.Prefetch(100, query=q.Query.Nearest(sparse[number], using="lex")),
        ]
        return ids(shard.query(q.QueryRequest(10, query=q.Fusion.Rrf(k=10), prefetches=prefetches)))

    def dense(number: int) -> list[str]:
        query = q.Query.Nearest(dense_queries[number], using="dense")
        return ids(shard.query(q.QueryRequest(10, query=query)))

    return {"words": words, "hybrid": hybrid, "dense": dense}


def lancedb(data: Data, folder: str) -> dict[str, Search]:
    import lancedb
    import pyarrow as pa
    from lancedb.rerankers import RRFReranker

    width = data.vectors.shape[1]
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(data.vectors.reshape(-1)), width)
    table = pa.table({"id": data.ids, "text": data.texts, "vector": vectors})
    start = time.perf_counter()
    made = lancedb.connect(folder).create_table("words", table)
    made.create_fts_index("text")
    print(f"lancedb: loaded in {time.perf_counter() - start:.2f} s", file=sys.stderr)
    made.create_index(metric="cosine", index_type="IVF_HNSW_SQ", vector_column_name="vector")
    reranker = RRFReranker(K=10)

    def words(number: int) -> list[str]:
        text = data.texts[data.queries[number]].replace('"', " ")
        found = made.search(text, query_type="fts").select(["id"]).limit(10).to_arrow()
        return found.column("id").to_pylist()

    def hybrid(number: int) -> list[str]:
        row = data.queries[number]
        text = data.texts[row].replace('"', " ")
        search = made.search(query_type="hybrid").vector(data.vectors[row]).text(text)
        found = search.rerank(reranker).select(["id"]).limit(100).to_arrow()
        return found.column("id").to_pylist()[:10]

    def dense(number: int) -> list[str]:
        found = made.search(data.vectors[data.queries[number]]).select(["id"]).limit(10).to_arrow()
        return found.column("id").to_pylist()

    return {"words": words, "hybrid": hybrid, "dense": dense}


def worker(system: str, file: str) -> None:
    data = Data(file)
    with tempfile.TemporaryDirectory() as folder:
        searches = globals()[system](data, folder)
        print(json.dumps(list(searches)), flush=True)
        for line in sys.stdin:
            name, first = json.loads(line)
            taken = []
            for number in range(first, first + TURN):
                start = time.perf_counter()
                searches[name](number)
                taken.append(time.perf_counter() - start)
            print(json.dumps(1000 * statistics.median(taken)), flush=True)


def main() -> None:
    import environments

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--envs", type=Path)
    parser.add_argument("--systems", nargs="*", default=SYSTEMS)
    options = parser.parse_args()
    running, names = {}, {}
    for system in options.systems:
        python = environments.interpreter(system, options.envs)
        running[system] = subprocess.Popen(
            [python, __file__, "--worker", system, options.file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"RUST_LOG": "error", "LANCE_LOG": "error", "PYTHONWARNINGS": "ignore"},
        )
        names[system] = json.loads(running[system].stdout.readline())
    figures: dict[tuple[str, str], list[float]] = {}
    for each in range(options.rounds + 1):  # the first warms up
        for system, process in running.items():
            for name in names[system]:
                process.stdin.write(json.dumps([name, each * TURN % QUERIES]) + "\n")
                process.stdin.flush()
                taken = json.loads(process.stdout.readline())
                if each:
                    figures.setdefault((system, name), []).append(taken)
    for process in running.values():
        process.stdin.close()
        process.wait()
    for (system, name), found in figures.items():
        median = statistics.median(found)
        print(f"{system:12} {name:14} {median:7.3f} ms  {1000 / median:7.0f}/s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:4])
    else:
        main()
