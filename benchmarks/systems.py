"""The systems under test behind one small interface. `Chroma` drives both, for they share an API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class Chroma:
    """`module` is chroma (this project) or chromadb (the reference)."""

    knobs = (16, 24, 32, 48, 64, 100, 200)
    default = 100

    def __init__(self, module: str, path: str) -> None:
        self.name, self.path = module, path
        self.ours = module == "chroma"
        self._module: Any = __import__(module)
        self.open()

    def open(self) -> None:
        settings = self._module.Settings(anonymized_telemetry=False)
        self.client = self._module.PersistentClient(path=self.path, settings=settings)
        self.collection = self.client.get_or_create_collection(
            "bench", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def close(self) -> None:
        if self.ours:
            self.client.close()

    def step(self) -> int:
        return int(self.client.get_max_batch_size())

    def add(self, rows: Any) -> None:
        step = self.step()
        for start in range(0, len(rows), step):
            part = rows.part(start, start + step)
            self.collection.add(
                ids=part.ids, embeddings=part.vectors, documents=part.documents, metadatas=part.metadatas
            )

    def settle(self, dimension: int) -> None:
        """Return when queries run at full speed."""
        if self.ours:
            self.collection.compact()
        else:
            self.collection.query(query_embeddings=[[0.1] * dimension], n_results=1)

    def set_effort(self, ef: int) -> None:
        self.collection.modify(configuration={"hnsw": {"ef_search": ef}})
        if not self.ours:  # it reads the setting when the index is loaded
            from chromadb.api.shared_system_client import SharedSystemClient

            self.client._system.stop()
            SharedSystemClient.clear_system_cache()
            self.open()

    def query(self, vector: Any, k: int = 10, where: Any = None) -> list[str]:
        found = self.collection.query(
            query_embeddings=[vector],
            n_results=k,
            where=where,
            include=["documents", "metadatas", "distances"],
        )
        ids: list[str] = found["ids"][0]
        return ids

    def delete(self, ids: list[str]) -> None:
        step = self.step()
        for start in range(0, len(ids), step):
            self.collection.delete(ids=ids[start : start + step])

    def get_everything(self, count: int) -> int:
        """All records with embeddings; in pages where one call cannot."""
        fields = ["embeddings", "documents", "metadatas"]
        if self.ours:
            return len(self.collection.get(include=fields)["ids"])
        pages = range(0, count, 5000)
        return sum(len(self.collection.get(limit=5000, offset=at, include=fields)["ids"]) for at in pages)


class Bare:
    """hnswlib alone, in memory: what a query costs at the least."""

    def __init__(self, vectors: Any) -> None:
        import hnswlib

        self.index = hnswlib.Index("cosine", vectors.shape[1])
        self.index.init_index(len(vectors), ef_construction=100, M=16)
        self.index.add_items(vectors, num_threads=os.cpu_count() or 1)

    def query(self, vector: Any, ef: int, k: int = 10) -> Any:
        self.index.set_ef(ef)
        return self.index.knn_query(vector, k=k, num_threads=1)[0][0]


def where(condition: tuple[str, str, Any]) -> dict[str, Any]:
    key, operator, value = condition
    return {key: {"$lt" if operator == "<" else "$eq": value}}


def disk_bytes(path: str) -> int:
    """Allocated bytes below a folder."""
    files = [file for file in Path(path).rglob("*") if file.is_file()]
    return sum(min(file.stat().st_blocks * 512, file.stat().st_size) for file in files)


def memory_mb(field: str) -> float:
    """`VmRSS` (now) or `VmHWM` (the highest so far) of this process, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return float("nan")
