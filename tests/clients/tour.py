"""tour.py sync|async HOST PORT: every method of Chroma's own Python client, with known answers.

Runs with an interpreter that has `chromadb` or `chromadb-client` and not this package, against our server.
The server must allow reset. Prints a line per step, and fails if a public method was not called.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from typing import Any

import chromadb
import numpy as np
from chromadb import errors
from chromadb.config import Settings

NO_CALLS = {  # of the clients' base class, for its own ends
    "clear_system_cache", "create", "from_system", "from_system_async",
    "get_chroma_cloud_api_key_from_clients",
}  # fmt: skip


class Watched:
    """Remembers which public names were used."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        used.add((type(self._inner).__name__, name))
        return getattr(self._inner, name)


used: set[tuple[str, str]] = set()


def step(name: str, ok: object) -> None:
    if not ok:
        sys.exit(f"FAILED {name}")
    print(f"ok     {name}")


def equal(name: str, got: object, expected: object) -> None:
    step(name if got == expected else f"{name}: got {got!r}, expected {expected!r}", got == expected)


async def done(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def collection(value: Any) -> Watched:
    return Watched(await done(value))


async def raises(name: str, kind: type[BaseException], call: Any, *words: str) -> None:
    try:
        got = await done(call())
    except kind as error:
        step(f"{name}: {type(error).__name__}", all(word in str(error) for word in words))
    else:
        sys.exit(f"FAILED {name}: got {got!r}")


class Letters(chromadb.EmbeddingFunction):  # type: ignore[type-arg, misc, unused-ignore]
    """Counts of a, b and c."""

    def __init__(self) -> None:
        pass

    def __call__(self, input: Any) -> Any:
        return [np.array([text.count(letter) for letter in "abc"], np.float32) for text in input]

    @staticmethod
    def name() -> str:
        return "letters"

    def get_config(self) -> dict[str, Any]:
        return {"kind": "counts"}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Any:
        return Letters()


async def connect(kind: str, host: str, port: int, **scope: str) -> Any:
    if kind == "sync":
        return Watched(chromadb.HttpClient(host=host, port=port, **scope))
    return Watched(await chromadb.AsyncHttpClient(host=host, port=port, **scope))


def administrator(kind: str, host: str, port: int) -> Any:
    place = {"chroma_server_host": host, "chroma_server_http_port": port}
    if kind == "sync":
        return Watched(
            chromadb.AdminClient(Settings(chroma_api_impl="chromadb.api.fastapi.FastAPI", **place))
        )
    from chromadb.api.async_client import AsyncAdminClient

    return Watched(
        AsyncAdminClient(Settings(chroma_api_impl="chromadb.api.async_fastapi.AsyncFastAPI", **place))
    )


async def system(client: Any) -> None:
    step("heartbeat", abs(await done(client.heartbeat()) - time.time_ns()) < 60e9)
    step("get_version", await done(client.get_version()))
    step("get_max_batch_size", await done(client.get_max_batch_size()) >= 5461)
    step("get_settings", client.get_settings().chroma_server_host)
    identity = await done(client.get_user_identity())
    equal(
        "get_user_identity", (identity.tenant, identity.databases), ("default_tenant", ["default_database"])
    )
    equal("tenant, database", (client.tenant, client.database), ("default_tenant", "default_database"))
    equal("reset", await done(client.reset()), True)


async def tenants(admin: Any, client: Any) -> None:
    await done(admin.create_tenant("tenant one"))
    equal("get_tenant", (await done(admin.get_tenant("tenant one")))["name"], "tenant one")
    await raises(
        "a taken tenant", errors.UniqueConstraintError, lambda: admin.create_tenant("tenant one"), "exists"
    )
    await raises("an unknown tenant", errors.NotFoundError, lambda: admin.get_tenant("nobody"))
    await raises("a short name", errors.InvalidArgumentError, lambda: admin.create_tenant("ab"))
    await done(admin.create_database("stock", "tenant one"))
    equal("get_database", (await done(admin.get_database("stock", "tenant one")))["name"], "stock")
    await raises(
        "a taken database", errors.UniqueConstraintError, lambda: admin.create_database("stock", "tenant one")
    )
    await raises("an unknown database", errors.NotFoundError, lambda: admin.get_database("x", "tenant one"))
    await done(admin.create_database("other", "tenant one"))
    listed = await done(admin.list_databases(tenant="tenant one"))
    equal("list_databases", [entry["name"] for entry in listed], ["other", "stock"])
    listed = await done(admin.list_databases(limit=1, offset=1, tenant="tenant one"))
    equal("list_databases(limit, offset)", [entry["name"] for entry in listed], ["stock"])
    await done(admin.delete_database("other", "tenant one"))
    equal("delete_database", len(await done(admin.list_databases(tenant="tenant one"))), 1)
    await done(client.set_tenant("tenant one", "stock"))
    equal("set_tenant", (client.tenant, client.database), ("tenant one", "stock"))
    await raises("set_database to none", errors.NotFoundError, lambda: client.set_database("none"))
    await raises("set_tenant to none", errors.NotFoundError, lambda: client.set_tenant("nobody"))
    equal("and nothing changed", (client.tenant, client.database), ("tenant one", "stock"))
    await done(client.set_tenant("default_tenant"))
    await done(client.set_database("default_database"))


async def collections(client: Any) -> None:
    one = await collection(
        client.create_collection(
            "one",
            metadata={"note": "x", "n": 2**60, "f": 1.0, "t": True},
            configuration={"hnsw": {"space": "cosine", "ef_search": 33}},
            embedding_function=None,
        )
    )
    equal("create_collection", (one.name, one.metadata["n"], one.metadata["f"]), ("one", 2**60, 1.0))
    equal("tenant and database of it", (one.tenant, one.database), ("default_tenant", "default_database"))
    equal("configuration", one.configuration["hnsw"]["space"], "cosine")
    equal("configuration_json", one.configuration_json["hnsw"]["ef_search"], 33)
    step("schema", one.schema is not None)
    equal("get_model", one.get_model().name, "one")
    await raises(
        "a taken name",
        errors.UniqueConstraintError,
        lambda: client.create_collection("one", embedding_function=None),
        "exists",
    )
    await raises("a bad name", Exception, lambda: client.create_collection("a b", embedding_function=None))
    again = await done(client.get_or_create_collection("one", embedding_function=None))
    equal("get_or_create_collection", again.id, one.id)
    equal("get_collection", (await done(client.get_collection("one", embedding_function=None))).id, one.id)
    found = await done(client.get_collection_by_id(one.id, embedding_function=None))
    equal("get_collection_by_id", found.name, "one")
    await raises("an unknown collection", errors.NotFoundError, lambda: client.get_collection("two"))
    old = await done(client.create_collection("old", metadata={"hnsw:space": "ip"}, embedding_function=None))
    equal("metadata with a space", old.configuration_json["hnsw"]["space"], "ip")
    await done(one.modify(name="uno", metadata={"note": "y"}, configuration={"hnsw": {"ef_search": 44}}))
    changed = await done(client.get_collection("uno", embedding_function=None))
    equal("modify", (changed.metadata, changed.configuration_json["hnsw"]["ef_search"]), ({"note": "y"}, 44))
    await raises("a rename to a taken name", errors.ChromaError, lambda: one.modify(name="old"))
    equal("list_collections", sorted(c.name for c in await done(client.list_collections())), ["old", "uno"])
    equal("list_collections(limit)", len(await done(client.list_collections(limit=1, offset=1))), 1)
    equal("count_collections", await done(client.count_collections()), 2)
    await done(client.delete_collection("uno"))
    await done(client.delete_collection("old"))
    await raises("a handle on what is gone", errors.NotFoundError, one.count)
    await raises("deleting what is gone", errors.NotFoundError, lambda: client.delete_collection("uno"))


async def writes(things: Any) -> None:
    await done(
        things.add(
            ids=["a", "b", "c"],
            documents=["a", "abb", "abcc é"],
            metadatas=[{"n": 1, "s": "ä€", "t": True}, {"n": 2.5, "tags": ["p", "q"]}, None],
        )
    )
    equal("add(documents)", await done(things.count()), 3)
    await done(things.add(ids=["a", "d"], documents=["other", "ddd"], metadatas=[None, {"n": 9}]))
    equal("add of a known id", (await done(things.get("a")))["documents"], ["a"])
    await done(things.add(ids=["u"], embeddings=[[9.0, 9.0, 9.0]], uris=["file:u"]))
    await done(
        things.upsert(ids=["d", "e"], embeddings=[[0, 0, 7], [1, 1, 1]], metadatas=[{"m": 1}, {"k": 1}])
    )
    equal("upsert", (await done(things.get(["d", "e"])))["metadatas"], [{"n": 9, "m": 1}, {"k": 1}])
    await done(things.update(ids=["d", "e", "unknown"], metadatas=[{"n": None}, {"k": 2}, {"x": 1}]))
    equal("update(metadatas)", (await done(things.get(["d", "e"])))["metadatas"], [{"m": 1}, {"k": 2}])
    await done(things.update(ids=["d"], documents=["bbb"]))
    got = await done(things.get(["d"], include=["documents", "embeddings"]))
    equal("update(documents)", (got["documents"], got["embeddings"][0].tolist()), (["bbb"], [0, 3, 0]))
    await raises(
        "another dimension",
        errors.InvalidArgumentError,
        lambda: things.add(ids=["f"], embeddings=[[1.0, 2.0]]),
    )
    await raises(
        "a duplicate id",
        errors.DuplicateIDError,
        lambda: things.add(ids=["f", "f"], embeddings=[[1, 2, 3]] * 2),
    )


async def reads(things: Any) -> None:
    everything = await done(things.get(include=["documents", "metadatas", "embeddings", "uris"]))
    equal("get", everything["ids"], ["a", "b", "c", "d", "u", "e"])
    equal("get(uris)", everything["uris"], [None, None, None, None, "file:u", None])
    equal("types of metadata", everything["metadatas"][:3], [
        {"n": 1, "s": "ä€", "t": True}, {"n": 2.5, "tags": ["p", "q"]}, None,
    ])  # fmt: skip
    equal("get(limit, offset)", (await done(things.get(limit=2, offset=1)))["ids"], ["b", "c"])
    equal("peek", (await done(things.peek(1)))["documents"], ["a"])
    found = await done(
        things.query(
            query_texts=["a", "ccc"],
            n_results=2,
            include=["documents", "distances", "embeddings", "metadatas"],
        )
    )
    equal("query", found["ids"], [["a", "e"], ["c", "e"]])
    equal("query(distances)", found["distances"][0], [0.0, 2.0])
    equal("query(embeddings)", found["embeddings"][0].tolist(), [[1, 0, 0], [1, 1, 1]])
    limited = await done(things.query(query_embeddings=[[1.0, 0, 0]], ids=["b", "d"], n_results=5))
    equal("query(ids)", sorted(limited["ids"][0]), ["b", "d"])
    from chromadb.api.types import ReadLevel

    equal("count(read_level)", await done(things.count(read_level=ReadLevel.INDEX_ONLY)), 6)


async def filters(things: Any) -> None:
    async def ids(**arguments: Any) -> list[str]:
        return list((await done(things.get(**arguments)))["ids"])

    equal("where", await ids(where={"n": {"$gte": 2}}), ["b"])
    equal("where $or", await ids(where={"$or": [{"n": 1}, {"m": 1}]}), ["a", "d"])
    equal("where $ne", await ids(where={"s": {"$ne": "ä€"}}), ["b", "c", "d", "u", "e"])
    equal("where $in", await ids(where={"n": {"$in": [2.5, 7.5]}}), ["b"])
    equal("where $contains", await ids(where={"tags": {"$contains": "p"}}), ["b"])
    equal("where_document", await ids(where_document={"$contains": "abb"}), ["b"])
    equal("where_document $regex", await ids(where_document={"$regex": "b+c"}), ["c"])
    equal("query(where)", (await done(things.query(query_texts="a", where={"n": 1})))["ids"], [["a"]])
    for where in ({"n": {"$foo": 1}}, {"n": 1, "m": 2}):
        await raises(f"where={where!r}", ValueError, lambda where=where: things.get(where=where))


async def removals(things: Any) -> None:
    equal("delete(ids)", await done(things.delete(ids=["e", "u"])), {"deleted": 2})
    equal(
        "delete(where, limit)", await done(things.delete(where={"n": {"$gte": 0}}, limit=1)), {"deleted": 1}
    )
    equal(
        "delete(where_document)",
        await done(things.delete(where_document={"$contains": "bbb"})),
        {"deleted": 1},
    )
    equal("what is left", (await done(things.get()))["ids"], ["b", "c"])
    await raises("delete()", ValueError, things.delete)


async def hosted(client: Any, things: Any) -> None:
    """What the reference offers on its hosted service only: it works, or the answer says that it does not."""
    copy = await done(things.fork("copy"))
    equal("fork", (copy.name, await done(copy.count())), ("copy", 2))
    await done(client.delete_collection("copy"))
    equal("get_indexing_status", (await done(things.get_indexing_status())).total_ops, 2)
    try:
        found = await done(things.search(chromadb.Search(rank=chromadb.Knn([1.0, 0, 0])).limit(1)))
    except Exception as error:
        step(f"search: {type(error).__name__}", "search" in str(error))
    else:
        equal("search", len(found["ids"][0]), 1)
    await raises("fork_count", Exception, things.fork_count)
    if hasattr(things, "attach_function"):
        from chromadb.api.functions import STATISTICS_FUNCTION

        await raises("get_attached_function", errors.NotFoundError, lambda: things.get_attached_function("f"))
        await raises("detach_function", Exception, lambda: things.detach_function("f"))
        await raises(
            "attach_function", Exception, lambda: things.attach_function(STATISTICS_FUNCTION, "f", "out")
        )


async def many(client: Any) -> None:
    bulk = await done(client.create_collection("bulk", embedding_function=None))
    vectors = np.random.default_rng(0).standard_normal((20_000, 32), dtype=np.float32)
    ids = [f"r{row}" for row in range(len(vectors))]
    await done(bulk.add(ids=ids, embeddings=vectors, metadatas=[{"i": row} for row in range(len(vectors))]))
    equal("20,000 records in a call", await done(bulk.count()), len(vectors))
    back = await done(bulk.get(include=["embeddings"]))
    equal("their order", back["ids"] == ids, True)
    step(
        "their vectors, bit by bit", np.asarray(back["embeddings"], np.float32).tobytes() == vectors.tobytes()
    )
    await done(client.delete_collection("bulk"))


async def tour(kind: str, host: str, port: int) -> None:
    client = await connect(kind, host, port)
    await system(client)
    admin = administrator(kind, host, port)
    await tenants(admin, client)
    await raises(
        "a client of no tenant", errors.NotFoundError, lambda: connect(kind, host, port, tenant="nil")
    )
    other = await connect(kind, host, port, tenant="tenant one", database="stock")
    await collections(client)
    things = await collection(client.create_collection("things", embedding_function=Letters()))
    await raises("isolation", errors.NotFoundError, lambda: other.get_collection("things"))
    await writes(things)
    await reads(things)
    reopened = await done(client.get_collection("things", embedding_function=Letters()))
    equal("the stored function", reopened.configuration_json["embedding_function"]["name"], "letters")
    await filters(things)
    await removals(things)
    await hosted(client, things)
    await many(client)
    equal("reset again", await done(client.reset()), True)
    equal("it is empty", await done(client.count_collections()), 0)
    if hasattr(client, "close"):
        await done(client.close())
    for inner in (client, admin, things):
        cls = type(inner._inner)
        public = {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")}
        missed = public - NO_CALLS - {name for owner, name in used if owner == cls.__name__}
        equal(f"every method of {cls.__name__}", missed, set())


if __name__ == "__main__":
    form, at, number = sys.argv[1:]
    print(f"chromadb {chromadb.__version__}, {form}")
    asyncio.run(tour(form, at, int(number)))
    print("the tour is complete")
