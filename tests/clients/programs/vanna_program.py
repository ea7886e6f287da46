"""vanna_program.py FOLDER HOST PORT: Vanna's stores of questions and of an agent's memory."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import chromadb
import numpy as np
from checks import answered_by_us, equal, letters
from vanna.core.tool import ToolContext
from vanna.core.user import User
from vanna.integrations.chromadb import ChromaAgentMemory
from vanna.legacy.chromadb import ChromaDB_VectorStore


class Letters(chromadb.EmbeddingFunction[Any]):
    def __init__(self) -> None:
        pass

    def __call__(self, input: Any) -> Any:
        return [np.array(letters(text), np.float32) for text in input]


class Store(ChromaDB_VectorStore):
    """The store without a language model."""

    def system_message(self, message: str) -> Any:
        return message

    def user_message(self, message: str) -> Any:
        return message

    def assistant_message(self, message: str) -> Any:
        return message

    def submit_prompt(self, prompt: Any, **kwargs: Any) -> str:
        return ""


def store_tour(config: dict[str, Any]) -> None:
    config |= {"embedding_function": Letters(), "n_results": 1}
    store = Store(config)
    question = store.add_question_sql("aaa", "SELECT a")
    store.add_question_sql("bbb", "SELECT b")
    store.add_ddl("CREATE TABLE ccc")
    document = store.add_documentation("about abab")
    store.add_documentation("about ccc")
    equal("similar questions", store.get_similar_question_sql("bb"), [{"question": "bbb", "sql": "SELECT b"}])
    equal("related DDL", store.get_related_ddl("c"), ["CREATE TABLE ccc"])
    equal("related documentation", store.get_related_documentation("ab"), ["about abab"])
    equal("training data", sorted(store.get_training_data()["content"].tolist())[0], "CREATE TABLE ccc")
    equal(
        "remove_training_data",
        (store.remove_training_data(document), store.remove_training_data(question)),
        (True, True),
    )
    again = Store(config)
    equal("reopened", again.get_related_documentation("ab"), ["about ccc"])
    equal(
        "remove_collection", (again.remove_collection("sql"), again.get_similar_question_sql("b")), (True, [])
    )


async def memory_tour(folder: str) -> None:
    def memory() -> ChromaAgentMemory:
        return ChromaAgentMemory(folder, "vanna-memory", embedding_function=Letters())

    made = memory()
    context = ToolContext(user=User(id="u"), conversation_id="c", request_id="r", agent_memory=made)
    await made.save_tool_usage("aaa", "run", {"sql": "SELECT a"}, context)
    await made.save_tool_usage("bbb", "draw", {"n": 1}, context, success=False)
    text = await made.save_text_memory("ccc", context)
    found = await made.search_similar_usage("aaa", context, similarity_threshold=0.1)
    equal(
        "search_similar_usage",
        [(one.memory.tool_name, one.memory.args) for one in found],
        [("run", {"sql": "SELECT a"})],
    )
    recent = await memory().get_recent_memories(context)
    equal("reopened", sorted(one.tool_name for one in recent), ["draw", "run"])
    equal(
        "search_text_memories",
        [one.memory.content for one in await made.search_text_memories("ccc", context)],
        ["ccc"],
    )
    equal("delete_text_memory", await made.delete_text_memory(context, text.memory_id), True)
    equal("clear_memories", await made.clear_memories(context, tool_name="run"), 1)


def main(folder: str, host: str, port: str) -> None:
    answered_by_us()
    store_tour({"path": folder})
    store_tour({"client": chromadb.HttpClient(host=host, port=int(port))})
    store_tour({"client": "in-memory"})
    asyncio.run(memory_tour(f"{folder}-memory"))
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
