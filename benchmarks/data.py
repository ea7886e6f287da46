"""Data sets with held-out queries, and exact answers. Knows nothing of any system.

A source is one of
    docstrings[:ROWS]       the standard library's docstrings, embedded with the default model, made once
    synthetic:ROWS:DIM      clusters of uneven size with words, seeded
    FILE.parquet            columns id, text, embedding; every other column is metadata
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HOME = Path(__file__).resolve().parents[1] / ".bench"  # everything that the benchmarks keep
RANGE = 1_000_000  # the metadata key `u` is uniform in [0, RANGE), independent of the vectors


@dataclass
class Rows:
    """Records in the forms that systems take; all made before anything is timed."""

    ids: list[str]
    vectors: Any  # float32 (n, dim), unit length
    documents: list[str]
    metadatas: list[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, stop: int) -> Rows:
        return Rows(
            self.ids[start:stop],
            self.vectors[start:stop],
            self.documents[start:stop],
            self.metadatas[start:stop],
        )


def load(source: str, queries: int = 500) -> tuple[Rows, Any]:
    """The records to store and the query vectors, which are not among them."""
    table, vectors, asked = read(source, queries)
    return rows_of(table, vectors), asked


def read(source: str, queries: int = 500) -> tuple[Any, Any, Any]:
    """The same as a table (id, text, metadata), an array of vectors, and an array of query vectors."""
    kind = source.split(":")[0]
    if kind == "synthetic":
        table, vectors, asked = _synthetic(source, queries)
    else:
        table, vectors, asked = _parquet(_docstrings(source) if kind == "docstrings" else source, queries)
    u = np.random.default_rng(7).integers(0, RANGE, table.num_rows)
    return table.append_column("u", pa.array(u)), vectors, asked


def rows_of(table: Any, vectors: Any) -> Rows:
    metadatas = table.drop_columns(["id", "text"]).to_pylist()
    return Rows(table["id"].to_pylist(), vectors, table["text"].to_pylist(), metadatas)


def _parquet(path: str | Path, queries: int) -> tuple[Any, Any, Any]:
    table = pq.read_table(path)
    column = table["embedding"].combine_chunks()
    width = column.type.list_size if hasattr(column.type, "list_size") else len(column[0])
    vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Queries must not be stored: take them out, evenly over the file.
    asked = np.linspace(0, len(vectors) - 1, queries).astype(int)
    kept = np.setdiff1d(np.arange(len(vectors)), asked)
    rest = table.drop_columns(["embedding"]).take(kept)
    return rest, np.ascontiguousarray(vectors[kept]), vectors[asked].copy()


def _docstrings(source: str) -> Path:
    """The file with the texts of `chroma demo`; made on first use, which takes a minute or two."""
    path = HOME / "data" / f"{source.replace(':', '-')}.parquet"
    if path.exists():
        return path
    from chroma.demo.corpus import collect
    from chroma.embedding import DefaultEmbeddingFunction

    limit = int(source.partition(":")[2] or 10**9)
    entries = collect(limit)
    print(f"embedding {len(entries):,} docstrings, once ...", flush=True)
    model, vectors = DefaultEmbeddingFunction(), []
    for start in range(0, len(entries), 256):
        vectors += list(model([entry.document for entry in entries[start : start + 256]]))
    filled = [{"n_args": 0, "is_async": False, **entry.metadata} for entry in entries]
    table = pa.Table.from_pylist(filled)
    table = table.append_column("lexname", table["package"])  # texts of one package lie close together
    table = table.append_column("id", pa.array([entry.id for entry in entries]))
    table = table.append_column("text", pa.array([entry.document for entry in entries]))
    flat = pa.array(np.asarray(vectors, dtype=np.float32).reshape(-1))
    table = table.append_column("embedding", pa.FixedSizeListArray.from_arrays(flat, len(vectors[0])))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    pq.write_table(table, unfinished)
    unfinished.rename(path)
    return path


def clustered(n: int, dim: int, queries: int, rng: Any) -> tuple[Any, Any]:
    """Vectors (n + queries, dim) of length one, and the cluster of each.

    Uneven clusters, each on its own low-rank patch: about the intrinsic dimension of sentences.
    """
    clusters, rank = 400, 24
    centres = rng.standard_normal((clusters, dim), dtype=np.float32)
    weights = rng.pareto(1.2, clusters) + 0.05
    basis = rng.standard_normal((clusters, rank, dim), dtype=np.float32) / np.sqrt(rank)
    scale = (3 / np.sqrt(1 + np.arange(rank))).astype(np.float32)
    which = rng.choice(clusters, n + queries, p=weights / weights.sum())
    vectors = np.empty((n + queries, dim), np.float32)
    for cluster in range(clusters):
        at = np.flatnonzero(which == cluster)
        patch = (rng.standard_normal((len(at), rank), dtype=np.float32) * scale) @ basis[cluster]
        noise = 0.15 * rng.standard_normal((len(at), dim), dtype=np.float32)
        vectors[at] = centres[cluster] + patch + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, which


def _synthetic(source: str, queries: int) -> tuple[Any, Any, Any]:
    _, count, dimension = source.split(":")
    n, rng = int(count), np.random.default_rng(1)
    vectors, which = clustered(n, int(dimension), queries, rng)
    table = pa.table(
        {
            "id": [f"s{i:08d}" for i in range(n)],
            "text": _texts(n, rng),
            "lexname": [f"c{cluster}" for cluster in which[:n].tolist()],
            "pos": rng.choice(["noun", "verb", "adj", "adv"], n).tolist(),
            "n": np.arange(n),
        }
    )
    return table, vectors[:n], vectors[n:].copy()


def _texts(n: int, rng: Any) -> list[str]:
    """Eight words each from ten thousand; the k-th word is about as frequent as 1 / k."""
    letters = np.array(list("bdfgklmnprstvz"))[rng.integers(0, 14, (10_000, 3))]
    vowels = np.array(list("aeiou"))[rng.integers(0, 5, (10_000, 3))]
    words = ["".join(a + b for a, b in zip(*pair)) for pair in zip(letters, vowels)]
    share = 1 / (10 + np.arange(len(words)))
    picks = rng.choice(len(words), (n, 8), p=share / share.sum())
    return [" ".join([words[word] for word in line]) for line in picks.tolist()]


def exact(rows: Rows, queries: Any, at: Any, k: int = 10) -> list[set[str]]:
    """The ids of the k nearest of the rows `at`, by cosine, per query."""
    numbers = nearest(rows.vectors[at], queries, k)
    return [{rows.ids[at[number]] for number in line} for line in numbers]


def nearest(vectors: Any, queries: Any, k: int = 10) -> Any:
    """The row numbers of the k nearest vectors by cosine, per query, in no order."""
    found = []
    k = min(k, len(vectors))
    step = min(50, max(1, (1 << 28) // max(1, len(vectors))))  # whose scores take a gigabyte
    for start in range(0, len(queries), step):
        scores = queries[start : start + step] @ vectors.T
        found.append(
            np.argpartition(-scores, max(k - 1, 0), axis=1)[:, :k] if k else scores[:, :0].astype(int)
        )
    return np.concatenate(found)


def recall(found: list[list[str]], truth: list[set[str]]) -> float:
    """The mean share of the true neighbours that were found; 1 where there are none."""
    shares = [len(set(ids) & set(true)) / len(true) if true else 1.0 for ids, true in zip(found, truth)]
    return float(np.mean(shares))
