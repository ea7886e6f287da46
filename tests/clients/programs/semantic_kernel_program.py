"""semantic_kernel_program.py FOLDER HOST PORT: Semantic Kernel's store and collections for Chroma."""

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Annotated, Any

import chromadb
from checks import answered_by_us, equal, letters
from semantic_kernel.connectors.chroma import ChromaCollection, ChromaStore
from semantic_kernel.data.vector import DistanceFunction, VectorStoreField, vectorstoremodel


@vectorstoremodel(collection_name="kernel")
@dataclass
class Note:
    id: Annotated[str, VectorStoreField("key")]
    text: Annotated[str, VectorStoreField("data")]
    n: Annotated[int, VectorStoreField("data")]
    vector: Annotated[
        list[float] | None,
        VectorStoreField("vector", dimensions=4, distance_function=DistanceFunction.COSINE_SIMILARITY),
    ] = field(default=None)


def notes() -> list[Note]:
    return [Note(str(n), text, n, letters(text)) for n, text in ((1, "aaa"), (2, "bbb"), (3, "ccc"))]


async def texts(found: Any) -> list[str]:
    return [result.record.text async for result in found.results]


async def tour(store: ChromaStore) -> None:
    async with store.get_collection(Note) as notes_there:
        equal("collection_exists", await notes_there.collection_exists(), False)
        await notes_there.ensure_collection_exists()
        equal("upsert", await notes_there.upsert(notes()), ["1", "2", "3"])
        found = await notes_there.get("2", include_vectors=False)
        equal("get", (found.text, found.n), ("bbb", 2))
        equal("get(top, skip)", [note.id for note in await notes_there.get(top=2, skip=1)], ["2", "3"])
        equal("search", await texts(await notes_there.search(vector=letters("b"), top=1)), ["bbb"])
        later = "lambda note: note.n > 1 and note.text != 'ccc'"
        found = await notes_there.search(vector=letters("a"), top=3, filter=later)
        equal("search(filter)", await texts(found), ["bbb"])
        found = await notes_there.search(vector=letters("c"), top=3, filter=lambda note: note.text != "bbb")
        equal("search(filter function)", await texts(found), ["ccc", "aaa"])
        await notes_there.delete(["1"])
        equal("delete", [note.id for note in await notes_there.get(top=5)], ["2", "3"])
    equal("list_collection_names", await store.list_collection_names(), ["kernel"])
    await store.ensure_collection_deleted("kernel")
    equal("ensure_collection_deleted", await store.list_collection_names(), [])


async def reopened(folder: str) -> None:
    async with ChromaCollection(Note, persist_directory=folder) as made:
        await made.ensure_collection_exists()
        await made.upsert(notes()[0])
    async with ChromaCollection(Note, persist_directory=folder) as again:
        equal("reopened", [note.text for note in await again.get(top=5)], ["aaa"])
        await again.ensure_collection_deleted()


async def tours(folder: str, host: str, port: str) -> None:
    await tour(ChromaStore(persist_directory=folder))
    await reopened(folder)
    await tour(ChromaStore(client=chromadb.HttpClient(host=host, port=int(port))))
    await tour(ChromaStore())


def main(folder: str, host: str, port: str) -> None:
    answered_by_us()
    asyncio.run(tours(folder, host, port))
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
