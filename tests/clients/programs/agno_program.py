"""agno_program.py FOLDER HOST PORT: agno's knowledge and its vector store."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from agno.filters import EQ
from agno.knowledge.document import Document
from agno.knowledge.embedder.base import Embedder
from agno.knowledge.knowledge import Knowledge
from agno.vectordb.chroma import ChromaDb
from agno.vectordb.search import SearchType
from checks import answered_by_us, equal, letters
from chromadb.config import Settings


class Letters(Embedder):
    def get_embedding(self, text: str) -> list[float]:
        return letters(text)

    def get_embedding_and_usage(self, text: str) -> tuple[list[float], dict[str, Any] | None]:
        return letters(text), None

    async def async_get_embedding(self, text: str) -> list[float]:
        return letters(text)

    async def async_get_embedding_and_usage(self, text: str) -> tuple[list[float], dict[str, Any] | None]:
        return letters(text), None


def contents(found: list[Document]) -> list[str]:
    return [document.content for document in found]


def documents() -> list[Document]:
    return [
        Document(id="1", name="one", content="aaa", meta_data={"n": 1, "of": {"kind": "x", "tags": ["p"]}}),
        Document(id="2", name="two", content="bbb", meta_data={"n": 2}),
        Document(id="3", name="two", content="ccb", meta_data={"n": 3}),
    ]


def tour(where: dict[str, Any]) -> None:
    def store(search_type: SearchType = SearchType.vector) -> ChromaDb:
        return ChromaDb("agno", embedder=Letters(), search_type=search_type, **where)

    made = store()
    equal("exists", made.exists(), False)
    made.create()
    made.insert("hash", documents())
    equal("exists after create", (made.exists(), made.get_count()), (True, 3))
    equal("search", contents(made.search("b", 1)), ["bbb"])
    equal(
        "search(filters)",
        contents(made.search("b", 2, {"$and": [{"n": {"$gte": 2}}, {"n": {"$ne": 2}}]})),
        ["ccb"],
    )
    equal("nested metadata", contents(made.search("b", 2, {"of.kind": "x"})), ["aaa"])
    equal("keyword", contents(store(SearchType.keyword).search("cc", 2)), ["ccb"])
    equal("hybrid", contents(store(SearchType.hybrid).search("ccb", 2))[0], "ccb")
    (found,) = made.search("a", 1)
    equal("metadata", (found.meta_data["of.tags"], found.meta_data["n"], found.name), ('["p"]', 1, "one"))
    made.upsert("hash", [Document(id="1", name="one", content="aab", content_id="c1")])
    equal("upsert", (made.get_count(), contents(made.search("a", 1))), (1, ["aab"]))
    made.insert("other", documents()[1:])
    made.insert("theirs", [Document(id="9", name="nine", content="abc")], user_id="user")
    equal("a user's", contents(made.search("abc", 1, user_id="user")), ["abc"])
    equal("without the user's", contents(made.search("cc", 1, user_id="another")), ["ccb"])
    made.update_metadata("c1", {"seen": 7})
    equal("update_metadata", contents(made.search("a", 5, {"seen": 7})), ["aab"])
    equal("reopened", (store().get_count(), store().name_exists("two")), (4, True))
    equal(
        "content_hash_exists",
        (made.content_hash_exists("hash"), made.content_hash_exists("none")),
        (True, False),
    )
    equal("delete_by_name", (made.delete_by_name("two"), made.get_count()), (True, 2))
    equal("delete_by_metadata", (made.delete_by_metadata({"seen": 7}), made.get_count()), (True, 1))
    equal("delete_by_content_id", made.delete_by_content_id("nobody"), False)
    made.drop()
    equal("drop", made.exists(), False)
    asyncio.run(async_tour(store()))


async def async_tour(store: ChromaDb) -> None:
    await store.async_create()
    await store.async_insert("hash", documents())
    await store.async_upsert("hash", documents()[:2])
    equal("async_search", contents(await store.async_search("b", 1)), ["bbb"])
    await store.async_drop()


def knowledge(where: dict[str, Any]) -> None:
    base = Knowledge(
        name="agno knowledge", vector_db=ChromaDb(name="agno knowledge", embedder=Letters(), **where)
    )
    base.insert(name="first", text_content="aaa", metadata={"kind": "x"})
    base.insert(name="second", text_content="bbb", metadata={"kind": "y"})
    equal("Knowledge.search", contents(base.search("b", 1)), ["bbb"])
    equal("Knowledge.search(filters)", contents(base.search("b", filters={"kind": "x"})), ["aaa"])
    equal("expressions are ignored", len(base.search("b", filters=[EQ("kind", "x")])), 2)
    base.remove_vectors_by_name("first")
    equal("remove_vectors_by_name", contents(base.search("a")), ["bbb"])
    base.remove_vectors_by_metadata({"kind": "y"})
    equal("remove_vectors_by_metadata", base.search("a"), [])
    base.vector_db.drop()


def main(folder: str, host: str, port: str) -> None:
    answered_by_us()
    served = Settings(
        chroma_api_impl="chromadb.api.fastapi.FastAPI",
        chroma_server_host=host,
        chroma_server_http_port=int(port),
    )
    for where in ({"persistent_client": True, "path": folder}, {"settings": served}, {}):
        tour(where)
        knowledge(where)
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
