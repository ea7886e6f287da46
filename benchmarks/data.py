"""Data sets, filters and exact answers. Knows nothing of any system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

FILTERS: dict[str, tuple[str, str, Any]] = {
    "50%": ("u", "<", 5000),
    "10%": ("u", "<", 1000),
    "1%": ("u", "<", 100),
    "0.1%": ("u", "<", 10),
}


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
    """`source` is a Parquet file (columns id, text, embedding, and metadata) or `synthetic:ROWS:DIM`."""
    rows, asked = (
        _synthetic(source, queries) if source.startswith("synthetic:") else _parquet(source, queries)
    )
    bound = np.random.default_rng(7).integers(0, 10_000, len(rows))
    for metadata, value in zip(rows.metadatas, bound.tolist(), strict=True):
        metadata["u"] = value
    return rows, asked


def _parquet(path: str, queries: int) -> tuple[Rows, Any]:
    table = pq.read_table(path)
    column = table["embedding"].combine_chunks()
    width = column.type.list_size if hasattr(column.type, "list_size") else len(column[0])
    vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Queries must not be stored: take them out, evenly over the file.
    asked = np.linspace(0, len(vectors) - 1, queries).astype(int)
    kept = np.setdiff1d(np.arange(len(vectors)), asked)
    metadatas = table.drop_columns(["id", "text", "embedding"]).take(kept).to_pylist()
    ids, texts = table["id"].take(kept).to_pylist(), table["text"].take(kept).to_pylist()
    return Rows(ids, np.ascontiguousarray(vectors[kept]), texts, metadatas), vectors[asked].copy()


def _synthetic(source: str, queries: int) -> tuple[Rows, Any]:
    """Uneven clusters, each on its own low-rank patch: about the intrinsic dimension of sentences."""
    _, count, dimension = source.split(":")
    n, dim, clusters, rank = int(count), int(dimension), 400, 24
    rng = np.random.default_rng(1)
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
    metadatas = [{"lexname": f"c{cluster}", "n": row} for row, cluster in enumerate(which[:n].tolist())]
    rows = Rows([f"s{i:08d}" for i in range(n)], vectors[:n], [f"row {i}" for i in range(n)], metadatas)
    return rows, vectors[n:].copy()


def filters(rows: Rows) -> dict[str, tuple[str, str, Any]]:
    """The standard filters, and one that correlates with the vectors where the data has a `lexname`."""
    names = [metadata.get("lexname") for metadata in rows.metadatas]
    if not any(names):
        return FILTERS
    correlated = "noun.plant" if "noun.plant" in names else max(set(names), key=names.count)
    return {**FILTERS, "correlated": ("lexname", "=", correlated)}


def matching(rows: Rows, condition: tuple[str, str, Any] | None) -> Any:
    """Row numbers that satisfy a filter."""
    if condition is None:
        return np.arange(len(rows))
    key, operator, value = condition
    values = [metadata.get(key) for metadata in rows.metadatas]
    hit = [v is not None and (v < value if operator == "<" else v == value) for v in values]
    return np.flatnonzero(hit)


def exact(rows: Rows, queries: Any, at: Any, k: int = 10) -> list[set[str]]:
    """The ids of the k nearest of the rows `at`, by cosine, per query."""
    best: list[set[str]] = []
    vectors = rows.vectors[at]
    for start in range(0, len(queries), 50):
        scores = queries[start : start + 50] @ vectors.T
        top = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        best.extend({rows.ids[at[number]] for number in line} for line in top)
    return best


def recall(found: list[list[str]], truth: list[set[str]]) -> float:
    """The mean share of the true neighbours that were found."""
    return float(np.mean([len(set(ids) & true) / len(true) for ids, true in zip(found, truth, strict=True)]))
