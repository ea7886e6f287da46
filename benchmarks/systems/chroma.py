"""This project."""

from __future__ import annotations

from typing import Any

from chroma_reads import Reads

import chroma


class Driver(Reads):
    default_knob = 100

    def open(self) -> None:
        self.client = chroma.PersistentClient(self.path)
        self.collection = self.client.get_or_create_collection(
            "bench", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def close(self) -> None:
        self.client.close()

    def ready(self) -> None:
        self.collection.compact()  # with nothing to compact it loads the index, and waits for that

    def settle(self) -> None:
        self.collection.compact()

    def set_knob(self, ef: int | None) -> None:
        self.collection.modify(configuration={"hnsw": {"ef_search": ef or self.default_knob}})

    def add(self, rows: Any) -> None:
        self.collection.add(
            ids=rows.ids, embeddings=rows.vectors, documents=rows.documents, metadatas=rows.metadatas
        )

    def update(self, ids: list[str], metadatas: list[dict[str, Any]]) -> None:
        self.collection.update(ids=ids, metadatas=metadatas)

    def delete(self, ids: list[str]) -> None:
        self.collection.delete(ids=ids)

    def arrow(self) -> Any:
        return self.collection.to_arrow()

    def pandas(self) -> Any:
        return self.collection.to_pandas()

    def vectors_in(self, table: Any) -> Any:
        return table["embedding"]
