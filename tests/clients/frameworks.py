"""frameworks.py HOST PORT | FOLDER: LangChain and LlamaIndex, with their own packages for Chroma.

With a server, chromadb is the real package, and this one is not installed. With a folder, this one answers.
"""

from __future__ import annotations

import sys
from typing import Any

import chromadb
from langchain_chroma import Chroma
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import (
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.vector_stores.chroma import ChromaVectorStore


def letters(text: str) -> list[float]:
    return [float(text.count(letter)) for letter in "abc"]


class Letters(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [letters(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return letters(text)


def equal(step: str, got: Any, expected: Any) -> None:
    if got != expected:
        sys.exit(f"FAILED {step}: got {got!r}, expected {expected!r}")
    print(f"ok     {step}")


def langchain(client: Any) -> None:
    store = Chroma("langchain", embedding_function=Letters(), client=client)
    texts = [
        Document("aaa", id="1", metadata={"n": 1, "kind": "x"}),
        Document("bbb", id="2", metadata={"n": 2}),
        Document("ccc", id="3", metadata={"n": 3}),
    ]
    equal("add_documents", store.add_documents(texts), ["1", "2", "3"])
    equal("similarity_search", [d.page_content for d in store.similarity_search("aa", k=1)], ["aaa"])
    ((found, distance),) = store.similarity_search_with_score("bb", k=1, filter={"n": {"$gte": 2}})
    equal("similarity_search_with_score", (found.id, found.metadata, distance), ("2", {"n": 2}, 1.0))
    equal("similarity_search_by_vector", store.similarity_search_by_vector([0, 0, 3], k=1)[0].id, "3")
    equal("where_document", store.similarity_search("a", k=3, where_document={"$contains": "cc"})[0].id, "3")
    equal("max_marginal_relevance_search", len(store.max_marginal_relevance_search("ab", k=2, fetch_k=3)), 2)
    store.update_document("2", Document("bab", metadata={"n": 5}))
    equal("get", store.get(ids=["2"], include=["documents", "metadatas"])["documents"], ["bab"])
    equal("get_by_ids", [d.id for d in store.get_by_ids(["1", "3"])], ["1", "3"])
    equal("retriever", store.as_retriever(search_kwargs={"k": 1}).invoke("ccc")[0].id, "3")
    store.delete(ids=["1"])
    equal("delete", store.get()["ids"], ["2", "3"])
    made = Chroma.from_texts(["a", "b"], Letters(), collection_name="lc-texts", client=client)
    equal("from_texts", made.similarity_search("b", k=1)[0].page_content, "b")
    store.reset_collection()
    equal("reset_collection", store.get()["ids"], [])
    store.delete_collection()
    made.delete_collection()


def llama_index(client: Any) -> None:
    store = ChromaVectorStore(chroma_collection=client.get_or_create_collection("llama"))
    nodes = [
        TextNode(text=text, id_=text, metadata={"n": n}, embedding=letters(text))
        for n, text in enumerate(("aaa", "bbb", "ccc"))
    ]
    equal("add", store.add(nodes), ["aaa", "bbb", "ccc"])
    found = store.query(VectorStoreQuery(query_embedding=[0.0, 2.0, 0.0], similarity_top_k=1))
    equal("query", ([node.text for node in found.nodes], found.ids), (["bbb"], ["bbb"]))
    later = MetadataFilters(filters=[MetadataFilter(key="n", value=1, operator=FilterOperator.GT)])
    found = store.query(VectorStoreQuery(query_embedding=[0, 2.0, 0], similarity_top_k=3, filters=later))
    equal("query(filters)", found.ids, ["ccc"])
    equal("get_nodes", sorted(node.node_id for node in store.get_nodes(["aaa", "ccc"])), ["aaa", "ccc"])
    store.delete_nodes(["aaa"])
    equal("delete_nodes", store.client.count(), 2)
    store.clear()
    equal("clear", store.client.count(), 0)
    client.delete_collection("llama")


def main(place: str, port: str | None = None) -> None:
    if port is None:
        client: Any = chromadb.PersistentClient(place)
        equal("chromadb is this package", type(client).__module__, "chroma.api.client")
    else:
        client = chromadb.HttpClient(place, int(port))
    langchain(client)
    llama_index(client)
    equal("nothing is left", client.count_collections(), 0)
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
