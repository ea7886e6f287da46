"""How collections with Chroma's interface are read: ours and chromadb's."""

from __future__ import annotations

from typing import Any

from systems.base import Driver

FIELDS = ["documents", "metadatas", "distances"]


class Reads(Driver):
    collection: Any

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
