"""mcp_program.py FOLDER HOST PORT: every tool of Chroma's MCP server, a child process behind pipes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from checks import answered_by_us, equal
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

WORDS = ["The cat sleeps on the sofa.", "Stocks fell again today.", "Bread needs flour and water."]


class Tools:
    """Calls the tools and remembers which."""

    def __init__(self, session: ClientSession) -> None:
        self.session = session
        self.used: set[str] = set()

    async def call(self, name: str, **arguments: Any) -> Any:
        self.used.add(name)
        result = await self.session.call_tool(f"chroma_{name}", arguments)
        texts = [content.text for content in result.content]
        if result.isError:
            raise RuntimeError(*texts)
        return texts[0] if len(texts) == 1 else texts

    async def data(self, name: str, **arguments: Any) -> Any:
        return json.loads(await self.call(name, **arguments))


async def tour(*options: str) -> None:
    script = str(Path(sys.executable).with_name("chroma-mcp"))
    server = StdioServerParameters(command=script, args=list(options), env=dict(os.environ))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        await tools_tour(Tools(session))
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = Tools(session)
        equal("reopened", await tools.call("list_collections"), "copied")
        equal("the copy", await tools.data("get_collection_count", collection_name="copied"), 2)
        await tools.call("delete_collection", collection_name="copied")


async def tools_tour(tools: Tools) -> None:
    name = {"collection_name": "notes"}
    equal("list_collections", await tools.call("list_collections"), "__NO_COLLECTIONS_FOUND__")
    await tools.call("create_collection", **name, embedding_function_name="default", metadata={"kind": "x"})
    await tools.call(
        "add_documents", **name, documents=WORDS, ids=["1", "2", "3"], metadatas=[{"n": n} for n in (1, 2, 3)]
    )
    try:
        await tools.call("add_documents", **name, documents=WORDS[:1], ids=["1"])
        sys.exit("FAILED a stored id is refused")
    except RuntimeError as error:
        equal("a stored id is refused", "already exist" in str(error), True)
    found = await tools.data("query_documents", **name, query_texts=["a kitten"], n_results=1)
    equal(
        "query_documents",
        (found["ids"], found["documents"], found["metadatas"]),
        ([["1"]], [WORDS[:1]], [[{"n": 1}]]),
    )
    found = await tools.data(
        "query_documents",
        **name,
        query_texts=["a kitten"],
        where={"n": {"$gt": 1}},
        where_document={"$regex": "fl?o+u?r"},
    )
    equal("query_documents(where, where_document)", found["ids"], [["3"]])
    found = await tools.data("get_documents", **name, where={"$or": [{"n": 1}, {"n": 3}]}, limit=1, offset=1)
    equal("get_documents", (found["ids"], found["documents"]), (["3"], WORDS[2:]))
    await tools.call("update_documents", **name, ids=["2"], documents=["Shares rose."], metadatas=[{"n": 5}])
    found = await tools.data("get_documents", **name, ids=["2"])
    equal("update_documents", (found["documents"], found["metadatas"]), (["Shares rose."], [{"n": 5}]))
    await tools.call("delete_documents", **name, ids=["1"])
    equal("get_collection_count", await tools.data("get_collection_count", **name), 2)
    equal("peek_collection", "Shares rose." in await tools.call("peek_collection", **name), True)
    equal("get_collection_info", "Shares rose." in await tools.call("get_collection_info", **name), True)
    await tools.call("modify_collection", **name, new_name="renamed", new_metadata={"kind": "y"})
    await tools.call("fork_collection", collection_name="renamed", new_collection_name="copied")
    await tools.call("delete_collection", collection_name="renamed")
    offered = {tool.name.removeprefix("chroma_") for tool in (await tools.session.list_tools()).tools}
    equal("every tool", offered - tools.used, set())


def main(folder: str, host: str, port: str) -> None:
    answered_by_us()
    asyncio.run(tour("--client-type", "persistent", "--data-dir", folder))
    asyncio.run(tour("--client-type", "http", "--host", host, "--port", port, "--ssl", "false"))
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
