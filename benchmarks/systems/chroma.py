"""This project."""

from __future__ import annotations

from typing import Any

import chroma

from .base import Driver as Base

FIELDS = ["documents", "metadatas", "distances"]


class Driver(Base):
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

    def native(self, condition: Any) -> Any:
        return condition.where(), condition.where_document()

    def query(self, vector: Any, k: int = 10, condition: Any = (None, None)) -> list[Any]:
        found = self.collection.query(
            query_embeddings=[vector],
            n_results=k,
            where=condition[0],
            where_document=condition[1],
            include=FIELDS,
        )
        return found["ids"][0]

    def query_ids(self, vector: Any, k: int = 10) -> list[Any]:
        return self.collection.query(query_embeddings=[vector], n_results=k, include=["distances"])["ids"][0]

    def query_many(self, vectors: Any, k: int = 10) -> list[list[Any]]:
        return self.collection.query(query_embeddings=vectors, n_results=k, include=FIELDS)["ids"]

    def get(self, ids: list[str]) -> list[str]:
        return self.collection.get(ids=ids, include=["documents", "metadatas"])["ids"]

    def get_where(self, condition: Any, limit: int) -> list[str]:
        found = self.collection.get(
            where=condition[0], where_document=condition[1], limit=limit, include=["documents", "metadatas"]
        )
        return found["ids"]

    def count(self) -> int:
        return self.collection.count()

    def arrow(self) -> Any:
        return self.collection.to_arrow()

    def pandas(self) -> Any:
        return self.collection.to_pandas()

    def vectors_in(self, table: Any) -> Any:
        return table["embedding"]
