"""haystack_program.py FOLDER HOST PORT: Haystack's document store, retrievers and pipelines."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from checks import answered_by_us, equal, letters
from haystack import Document, Pipeline
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack_integrations.components.retrievers.chroma import (
    ChromaEmbeddingRetriever,
    ChromaQueryTextRetriever,
)
from haystack_integrations.document_stores.chroma import ChromaDocumentStore

YOUNG = {"field": "meta.n", "operator": ">=", "value": 2}


def documents() -> list[Document]:
    return [
        Document(id=str(n), content=text, meta={"n": n, "kind": kind}, embedding=letters(text))
        for n, text, kind in ((1, "aaa", "x"), (2, "bbb", "y"), (3, "ccc", "y"))
    ]


def contents(found: list[Document]) -> list[str | None]:
    return [document.content for document in found]


def tour(where: dict[str, Any]) -> None:
    store = ChromaDocumentStore("haystack", **where)
    equal("write_documents", store.write_documents(documents()), 3)
    try:
        store.write_documents(documents()[:1], policy=DuplicatePolicy.FAIL)
        sys.exit("FAILED a duplicate is refused")
    except DuplicateDocumentError:
        pass
    equal("policy skip", store.write_documents(documents()[:1], policy=DuplicatePolicy.SKIP), 0)
    equal("count_documents", store.count_documents(), 3)
    equal("filter", contents(store.filter_documents(YOUNG)), ["bbb", "ccc"])
    both = {
        "operator": "AND",
        "conditions": [YOUNG, {"field": "meta.kind", "operator": "in", "value": ["x", "y"]}],
    }
    equal("filter AND", contents(store.filter_documents(both)), ["bbb", "ccc"])
    by_text = {"field": "content", "operator": "contains", "value": "cc"}
    equal("filter of the content", contents(store.filter_documents(by_text)), ["ccc"])
    equal(
        "filter by id",
        contents(store.filter_documents({"field": "id", "operator": "==", "value": "1"})),
        ["aaa"],
    )
    (found,) = store.search_embeddings([letters("bb")], top_k=1)
    equal(
        "search_embeddings",
        (contents(found), found[0].embedding),
        (["bbb"], [float(f) for f in found[0].embedding]),
    )
    equal("count_documents_by_filter", store.count_documents_by_filter(YOUNG), 2)
    equal("count_unique", store.count_unique_metadata_by_filter(YOUNG, ["kind"]), {"kind": 1})
    equal("fields", store.get_metadata_fields_info()["n"], {"type": "long"})
    equal("min and max", store.get_metadata_field_min_max("n"), {"min": 1, "max": 3})
    equal("unique values", store.get_metadata_field_unique_values("kind")[0], ["x", "y"])
    equal("update_by_filter", store.update_by_filter(YOUNG, {"kind": "z"}), 2)
    store.write_documents(
        [Document(id="1", content="abab", embedding=letters("abab"))], policy=DuplicatePolicy.OVERWRITE
    )
    equal(
        "overwrite",
        contents(store.filter_documents({"field": "id", "operator": "==", "value": "1"})),
        ["abab"],
    )
    pipeline = Pipeline()
    pipeline.add_component("retriever", ChromaEmbeddingRetriever(store, top_k=1))
    answer = pipeline.run({"retriever": {"query_embedding": letters("c"), "filters": YOUNG}})
    equal("a pipeline", contents(answer["retriever"]["documents"]), ["ccc"])
    again = Pipeline.loads(pipeline.dumps())
    answer = again.run({"retriever": {"query_embedding": letters("b")}})
    equal("a stored pipeline on an open store", contents(answer["retriever"]["documents"]), ["bbb"])
    store.delete_documents(["3"])
    equal("delete_by_filter", store.delete_by_filter(YOUNG), 1)
    store.close()
    equal("reopened", contents(ChromaDocumentStore("haystack", **where).filter_documents()), ["abab"])
    embedded_texts(where)


def embedded_texts(where: dict[str, Any]) -> None:
    store = ChromaDocumentStore("haystack-texts", distance_function="cosine", **where)
    store.write_documents([Document(content="The cat sleeps."), Document(content="Stocks fell again.")])
    found = ChromaQueryTextRetriever(store, top_k=1).run("a kitten")["documents"]
    equal("the default embedding function", contents(found), ["The cat sleeps."])
    store.delete_all_documents(recreate_index=True)
    equal("delete_all_documents", store.count_documents(), 0)


async def async_tour(where: dict[str, Any]) -> None:
    store = ChromaDocumentStore("haystack-async", **where)
    equal("write_documents_async", await store.write_documents_async(documents()), 3)
    equal("filter_documents_async", contents(await store.filter_documents_async(YOUNG)), ["bbb", "ccc"])
    found = await ChromaEmbeddingRetriever(store, top_k=1).run_async(letters("a"))
    equal("run_async", contents(found["documents"]), ["aaa"])
    equal("update_by_filter_async", await store.update_by_filter_async(YOUNG, {"kind": "z"}), 2)
    equal("delete_by_filter_async", await store.delete_by_filter_async(YOUNG), 2)
    await store.delete_documents_async(["1"])
    equal("count_documents_async", await store.count_documents_async(), 0)


def main(folder: str, host: str, port: str) -> None:
    answered_by_us()
    tour({"persist_path": folder})
    tour({"host": host, "port": int(port)})
    asyncio.run(async_tour({"host": host, "port": int(port)}))
    memory = ChromaDocumentStore("haystack-memory")
    memory.write_documents(documents())
    equal("in memory", memory.count_documents(), 3)
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
