"""autogen_program.py FOLDER HOST PORT: AutoGen's vector memory and its memory bank of tasks."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import chromadb
import numpy as np
from autogen_core.memory import MemoryContent, MemoryMimeType, MemoryQueryResult
from autogen_core.model_context import BufferedChatCompletionContext
from autogen_core.models import UserMessage
from autogen_ext.experimental.task_centric_memory._string_similarity_map import StringSimilarityMap
from autogen_ext.memory.chromadb import (
    ChromaDBVectorMemory,
    CustomEmbeddingFunctionConfig,
    HttpChromaDBVectorMemoryConfig,
    PersistentChromaDBVectorMemoryConfig,
)
from checks import answered_by_us, equal, letters


class Letters(chromadb.EmbeddingFunction[Any]):
    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def __call__(self, input: Any) -> Any:
        return [np.array(letters(text), np.float32) * self.factor for text in input]


def contents(found: MemoryQueryResult) -> list[Any]:
    return [result.content for result in found.results]


async def tour(config: Any) -> None:
    custom = CustomEmbeddingFunctionConfig(function=Letters, params={"factor": 2.0})
    config = config.model_copy(
        update={
            "collection_name": "autogen",
            "k": 2,
            "allow_reset": True,
            "embedding_function_config": custom,
        }
    )
    memory = ChromaDBVectorMemory(config)
    for n, text in enumerate(("aaa", "bbb", "ccc")):
        await memory.add(MemoryContent(content=text, mime_type=MemoryMimeType.TEXT, metadata={"n": n}))
    await memory.add(MemoryContent(content={"key": "abc"}, mime_type=MemoryMimeType.JSON))
    found = await memory.query("bbb")
    equal("query", contents(found)[0], "bbb")
    equal(
        "metadata",
        {key: found.results[0].metadata[key] for key in ("n", "mime_type")},
        {"n": 1, "mime_type": "MemoryMimeType.TEXT"},
    )
    equal("query(where)", contents(await memory.query("b", where={"n": {"$gt": 1}})), ["ccc"])
    context = BufferedChatCompletionContext(buffer_size=5)
    await context.add_message(UserMessage(content="b?", source="user"))
    await memory.update_context(context)
    equal("update_context", "bbb" in str((await context.get_messages())[-1].content), True)
    await memory.close()
    equal("reopened", contents(await ChromaDBVectorMemory(config).query("aaa"))[0], "aaa")
    await memory.clear()
    equal("clear", contents(await memory.query("a")), [])
    await memory.add(MemoryContent(content="abc", mime_type=MemoryMimeType.TEXT))
    await memory.reset()
    equal("reset", contents(await memory.query("a")), [])
    await memory.close()


def default_function(folder: str) -> None:
    pairs = StringSimilarityMap(reset=True, path_to_db_dir=folder)
    pairs.add_input_output_pair("How do I cook rice?", "kitchen")
    pairs.add_input_output_pair("Why does my car not start?", "garage")
    pairs.save_string_pairs()
    ((_, where, distance),) = StringSimilarityMap(False, folder).get_related_string_pairs("cooking", 1, 2.0)
    equal("the default embedding function", (where, distance < 1.5), ("kitchen", True))


def main(folder: str, host: str, port: str) -> None:
    answered_by_us()
    asyncio.run(tour(PersistentChromaDBVectorMemoryConfig(persistence_path=folder)))
    asyncio.run(tour(HttpChromaDBVectorMemoryConfig(host=host, port=int(port))))
    default_function(folder)
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
