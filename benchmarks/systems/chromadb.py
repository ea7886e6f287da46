"""chromadb, in its own process as ours is. It takes a limited number of records per call."""

from __future__ import annotations

from typing import Any

import chromadb
from chroma_reads import Reads
from chromadb.api.shared_system_client import SharedSystemClient

PAGE = 5_000  # records per `get`: SQLite has a limit of variables


class Driver(Reads):
    default_knob = 100

    def open(self) -> None:
        settings = chromadb.Settings(anonymized_telemetry=False)
        self.client = chromadb.PersistentClient(path=self.path, settings=settings)
        self.collection = self.client.get_or_create_collection(
            "bench", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        self.step = self.client.get_max_batch_size()

    def settle(self) -> None:
        self.collection.query(query_embeddings=[[0.1] * self.dimension], n_results=1)

    def set_knob(self, ef: int | None) -> None:
        """It reads the setting when it loads the index: open everything again."""
        self.collection.modify(configuration={"hnsw": {"ef_search": ef or self.default_knob}})
        self.client._system.stop()
        SharedSystemClient.clear_system_cache()
        self.open()
        self.settle()

    def add(self, rows: Any) -> None:
        for start in range(0, len(rows), self.step):
            part = rows.part(start, start + self.step)
            self.collection.add(
                ids=part.ids, embeddings=part.vectors, documents=part.documents, metadatas=part.metadatas
            )

    def update(self, ids: list[str], metadatas: list[dict[str, Any]]) -> None:
        for start in range(0, len(ids), self.step):
            stop = start + self.step
            self.collection.update(ids=ids[start:stop], metadatas=metadatas[start:stop])

    def delete(self, ids: list[str]) -> None:
        for start in range(0, len(ids), self.step):
            self.collection.delete(ids=ids[start : start + self.step])

    def pandas(self) -> Any:
        import pandas

        parts = []
        for start in range(0, self.count(), PAGE):
            found = self.collection.get(
                limit=PAGE, offset=start, include=["embeddings", "documents", "metadatas"]
            )
            part = pandas.DataFrame(found["metadatas"])
            part.insert(0, "id", found["ids"])
            part.insert(1, "document", found["documents"])
            part["embedding"] = list(found["embeddings"])
            parts.append(part)
        return pandas.concat(parts, ignore_index=True)
