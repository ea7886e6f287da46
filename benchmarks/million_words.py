"""BM25 over a million documents: the time of a query, the size of the index, and the time of the load.

Run as: python benchmarks/million_words.py FILE.parquet [ROWS]     # 1,000,000 rows by default

Documents are joined from texts in the column `text` of the file, 60 to 300 bytes each, with the vectors of
the column `embedding` in turn. Each load is run twice, in turns, and the faster one counts.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import full_text
import numpy as np
import pyarrow.parquet as pq

import chroma
from chroma import Knn, Schema, Search, SparseVectorIndexConfig
from chroma.utils.embedding_functions import ChromaBm25EmbeddingFunction

BATCH, QUERIES = 10_000, 200


def load(client: Any, name: str, made: list[str], vectors: Any, lexical: bool) -> tuple[Any, float]:
    schema = Schema()
    if lexical:
        schema.create_index(
            SparseVectorIndexConfig(
                embedding_function=ChromaBm25EmbeddingFunction(), source_key="#document", bm25=True
            ),
            key="lex",
        )
    start = time.perf_counter()
    collection = client.create_collection(name, schema=schema, embedding_function=None)
    for first in range(0, len(made), BATCH):
        rows = range(first, min(first + BATCH, len(made)))
        collection.add(
            ids=[str(row) for row in rows],
            embeddings=vectors[np.arange(rows.start, rows.stop) % len(vectors)],
            documents=made[rows.start : rows.stop],
        )
    return collection, time.perf_counter() - start


def milliseconds(call: Any, texts: list[str]) -> str:
    taken = []
    for text in texts:
        start = time.perf_counter()
        call(text)
        taken.append(1000 * (time.perf_counter() - start))
    taken.sort()
    return f"p50 {statistics.median(taken):.2f} ms, p95 {taken[int(0.95 * len(taken))]:.2f} ms"


def main(file: str, rows: int) -> None:
    table = pq.read_table(file, columns=["text", "embedding"])
    flat = np.concatenate([chunk.flatten().to_numpy() for chunk in table.column("embedding").chunks])
    vectors = flat.astype(np.float32).reshape(table.num_rows, -1)
    dice = random.Random(1)
    made = full_text.documents(table.column("text").to_pylist(), rows, dice)
    best: dict[bool, float] = {}
    for turn in range(2):
        for lexical in (False, True):
            with tempfile.TemporaryDirectory() as folder, chroma.PersistentClient(folder) as client:
                collection, taken = load(client, "words", made, vectors, lexical)
                best[lexical] = min(taken, best.get(lexical, taken))
                print(f"load {'with' if lexical else 'without'} BM25: {taken:.1f} s", flush=True)
                if turn and lexical:
                    measure(collection, Path(folder), made, dice)
    print(f"speed of the load with BM25: {best[False] / best[True]:.2f} of that without")


def measure(collection: Any, folder: Path, made: list[str], dice: random.Random) -> None:
    texts = [" ".join(dice.choice(made).split()[2:8]) for _ in range(QUERIES)]
    words = lambda text: collection.search(Search(rank=Knn(text, key="lex", limit=10)).limit(10))  # noqa: E731
    print(f"first query: {milliseconds(words, texts[:1])}")
    print(f"queries by BM25, just loaded: {milliseconds(words, texts)}")
    start = time.perf_counter()
    collection.compact()
    print(f"compact: {time.perf_counter() - start:.1f} s")
    print(f"queries by BM25: {milliseconds(words, texts)}")
    (manifest,) = folder.glob("collections/*/manifest.json")
    segments = json.loads(manifest.read_text())["state"]["segments"]
    indexes = [index for segment in segments for index in segment["indexes"]]
    files = [index["file"]["bytes"] for index in indexes if index["kind"] == "postings"]
    postings = sum(len(each["lex"].indices) for each in collection.get(limit=50_000)["metadatas"])
    raw = 8 * postings * len(made) / min(50_000, len(made))
    print(f"index: {sum(files) / raw:.3f} of the raw postings, which take 8 bytes each")
    start = time.perf_counter()
    collection.query(query_texts=texts[:1], mode="lexical")
    print(f"first query by mode='lexical', which builds its index: {time.perf_counter() - start:.1f} s")
    lexical = lambda text: collection.query(query_texts=[text], mode="lexical", include=[])  # noqa: E731
    print(f"queries by mode='lexical': {milliseconds(lexical, texts)}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
