"""mem0_program.py FOLDER HOST PORT: mem0's vector store for Chroma, and its memory on top of it."""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ |= {"MEM0_TELEMETRY": "False", "OPENAI_API_KEY": "none"}

import chromadb
from checks import answered_by_us, equal, letters
from mem0 import Memory
from mem0.vector_stores.chroma import ChromaDB

FILTERS = {"user_id": "u", "n": {"gte": 2, "lte": 3}}


def ids(found: Any) -> list[str]:
    return [one.id for one in found]


def store_tour(where: dict[str, Any]) -> None:
    store = ChromaDB("mem0", **where)
    payloads = [{"user_id": "u", "n": n, "data": text} for n, text in ((1, "aaa"), (2, "bbb"), (3, "ccc"))]
    store.insert([letters(payload["data"]) for payload in payloads], payloads, ["1", "2", "3"])
    (found,) = store.search("bb", [letters("bb")], top_k=1)
    equal("search", (found.id, found.payload, round(found.score or 0, 3)), ("2", payloads[1], 0.5))
    equal("search(filters)", ids(store.search("a", [letters("a")], filters=FILTERS)), ["2", "3"])
    either = {"$or": [{"n": 1}, {"n": {"in": [3]}}], "$not": [{"user_id": "v"}]}
    equal("list(filters)", ids(store.list(either)[0]), ["1", "3"])
    store.update("1", letters("cab"), {"user_id": "v"})
    equal("update", store.get("1").payload, {"user_id": "v", "n": 1, "data": "aaa"})
    equal("list(wildcard)", ids(store.list({"user_id": "*"}, top_k=2)[0]), ["1", "2"])
    store.delete("3")
    equal("reopened", ids(ChromaDB("mem0", **where).list()[0]), ["1", "2"])
    equal("col_info", store.col_info().count(), 2)
    equal("list_cols", [collection.name for collection in store.list_cols()], ["mem0"])
    store.reset()
    equal("reset", store.list()[0], [])
    store.delete_col()


class Embedder:
    def __init__(self) -> None:
        self.config = type("Config", (), {"embedding_dims": 4})()

    def embed(self, text: str, memory_action: str | None = None) -> list[float]:
        return letters(text)

    def embed_batch(self, texts: list[str], memory_action: str | None = None) -> list[list[float]]:
        return [letters(text) for text in texts]


def memory_tour(where: dict[str, Any], folder: str) -> None:
    memory = Memory.from_config({
        "vector_store": {"provider": "chroma", "config": {"collection_name": "memories", **where}},
        "history_db_path": f"{folder}/history.db",
    })  # fmt: skip
    memory.embedding_model = Embedder()
    (made,) = memory.add("I like aaa", user_id="u", infer=False, metadata={"kind": "x"})["results"]
    memory.add("I like bbb", user_id="u", infer=False)
    memory.add("I like ccc", user_id="v", infer=False)
    found = memory.search("a", filters={"user_id": "u"}, top_k=1)["results"]
    equal("Memory.search", [one["memory"] for one in found], ["I like aaa"])
    equal("Memory.get", memory.get(made["id"])["metadata"], {"kind": "x"})
    memory.update(made["id"], "I like aab")
    equal("Memory.update", memory.get(made["id"])["memory"], "I like aab")
    mine = memory.get_all(filters={"user_id": "u"})["results"]
    equal("Memory.get_all", sorted(one["memory"] for one in mine), ["I like aab", "I like bbb"])
    memory.delete(made["id"])
    memory.delete_all(user_id="v")
    equal(
        "Memory.delete_all",
        [one["memory"] for one in memory.get_all(filters={"user_id": "u"})["results"]],
        ["I like bbb"],
    )
    memory.reset()
    memory.vector_store.delete_col()
    memory.close()


def main(folder: str, host: str, port: str) -> None:
    answered_by_us()
    for where in (
        {"path": folder},
        {"host": host, "port": int(port)},
        {"client": chromadb.EphemeralClient()},
    ):
        store_tour(where)
        memory_tour(where, folder)
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
