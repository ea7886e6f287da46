"""What filters on documents cost that are new in every call, with the index over n-grams and without it.

Run as: python benchmarks/full_text.py FILE.parquet [ROWS]     # 1,000,000 rows by default

Documents are made from the texts in the column `text` of the file: several of them joined, 60 to 300 bytes.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import chroma
from chroma.storage.collection import index_builds
from chroma.storage.filters import document_index

DIMENSION, BATCH, TIMES, AGAIN = 384, 10_000, 9, 5
BANDS = {"rare, up to 0.01 %": (1e-7, 1e-4), "0.1 to 1 %": (1e-3, 1e-2), "common, over 20 %": (0.2, 1.0)}


def documents(texts: list[str], rows: int, dice: random.Random) -> list[str]:
    made = []
    for row in range(rows):
        parts, length = [f"{row}"], 60 + dice.random() * 140
        while sum(map(len, parts)) < length:
            parts.append(dice.choice(texts))
        made.append("; ".join(parts)[:300])
    return made


def words_of(made: list[str], dice: random.Random) -> dict[str, list[str]]:
    """Words by the share of documents that contain them."""
    sample = dice.sample(made, min(20_000, len(made)))
    often = Counter(word for text in sample for word in set(re.findall(r"[a-z]{3,}", text)))
    found = {}
    for name, (least, most) in BANDS.items():
        words = [word for word, count in often.items() if least <= count / len(sample) <= most]
        found[name] = dice.sample(sorted(words), min(TIMES, len(words)))
    return found | {"a number": [f"{dice.randrange(len(made))};" for _ in range(TIMES)]}


def milliseconds(collection: Any, operator: str, operands: list[str]) -> str:
    taken, found = [], []
    for operand in operands:
        best = float("inf")
        for _ in range(AGAIN):  # what else runs on the machine makes single calls slower
            forget(collection)
            start = time.perf_counter()
            collection.get(where_document={operator: operand}, limit=10, include=[])
            best = min(best, 1000 * (time.perf_counter() - start))
        taken.append(best)
        found.append(collection.count(where_document={operator: operand}))
    taken.sort()
    middle, count = statistics.median(taken), statistics.median(found)
    return f"{middle:7.1f} ms ({taken[0]:.1f}-{taken[-1]:.1f}), {count:.0f} found"


def measure(collection: Any, words: dict[str, list[str]]) -> None:
    for name, chosen in words.items():
        print(f"  $contains {name:20} {milliseconds(collection, '$contains', chosen)}")
        patterns = [f"{word}[a-z ]+" for word in chosen]
        print(f"  $regex    {name:20} {milliseconds(collection, '$regex', patterns)}")


def forget(collection: Any) -> None:
    """Let every filter be a new one."""
    collection._backend.engine._open[str(collection.id)].store.filters.release()


def main(file: str, rows: int) -> None:
    dice = random.Random(1)
    index_builds.INDEX_BYTES = 1 << 60  # no graphs: they take minutes
    made = documents(pq.read_table(file, columns=["text"])["text"].to_pylist(), rows, dice)
    size = sum(len(text.encode()) for text in made)
    words = words_of(made, dice)
    vectors = np.random.default_rng(0).standard_normal((BATCH, DIMENSION)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder, chroma.PersistentClient(folder) as client:
        collection = client.create_collection("documents", embedding_function=None)
        least, document_index.LEAST_BYTES = document_index.LEAST_BYTES, 1 << 60
        start = time.perf_counter()
        for first in range(0, rows, BATCH):
            part = made[first : first + BATCH]
            ids = [str(first + row) for row in range(len(part))]
            collection.add(ids=ids, embeddings=vectors[: len(part)], documents=part)
        loaded = time.perf_counter() - start
        collection.compact()
        print(f"{rows} documents, {size / 1e6:.0f} MB; load {loaded:.1f} s")
        collection.count(where_document={"$contains": "first use"})
        print("without the index:")
        measure(collection, words)
        document_index.LEAST_BYTES = least
        start = time.perf_counter()
        collection.compact()
        built = time.perf_counter() - start
        indexed = sum(path.stat().st_size for path in Path(folder).rglob("index-*"))
        print(f"index: {built:.2f} s, {built / loaded:.1%} of the load; {indexed / size:.1%} of the texts")
        collection.count(where_document={"$contains": "first use"})
        print("with the index:")
        measure(collection, words)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
