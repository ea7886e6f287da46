"""A tour of every method of another Chroma client against this server.

    python scripts/tour_server.py /path/to/other/venv/bin/python [--workers 2]

The first interpreter starts `chroma run` on a free port with a folder of its own; the other one,
which has `chromadb` installed and not this package, runs the tour. Prints one line per step.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

TOUR = r"""
import sys, time
import numpy as np
import chromadb
from chromadb import errors
from chromadb.config import Settings

port = int(sys.argv[1])
kind = sys.argv[2]
print("client", chromadb.__version__, kind)


def step(name, ok=True):
    print(("ok   " if ok else "FAIL ") + name)
    if not ok:
        sys.exit(1)


def raises(error, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except error as found:
        return type(found)
    return None


client = chromadb.HttpClient(host="127.0.0.1", port=port)
step("heartbeat", abs(client.heartbeat() - time.time_ns()) < 60e9)
step("version", bool(client.get_version()))
step("batch size", client.get_max_batch_size() >= 5461)
step("identity", client.get_user_identity().databases == ["default_database"])
step("reset", client.reset() is True)
admin = chromadb.AdminClient(Settings(
    chroma_api_impl="chromadb.api.fastapi.FastAPI", chroma_server_host="127.0.0.1",
    chroma_server_http_port=port))
admin.create_tenant("tenant one")
step("tenant", admin.get_tenant("tenant one")["name"] == "tenant one")
step("tenant twice", raises(errors.UniqueConstraintError, admin.create_tenant, "tenant one"))
admin.create_database("other", "tenant one")
step("database", admin.get_database("other", "tenant one")["name"] == "other")
step("databases", [d["name"] for d in admin.list_databases(tenant="tenant one")] == ["other"])
step("missing database", raises(errors.NotFoundError, admin.get_database, "none", "tenant one"))
other = chromadb.HttpClient(host="127.0.0.1", port=port, tenant="tenant one", database="other")
step("missing tenant", raises(errors.NotFoundError, chromadb.HttpClient, "127.0.0.1", port, tenant="nobody"))

c = client.create_collection("things", metadata={"hnsw:space": "cosine", "n": 1}, embedding_function=None)
step("create", c.name == "things" and c.metadata["n"] == 1)
step("configuration", c.configuration_json["hnsw"]["space"] == "cosine")
step("schema", c.schema is not None)
step("twice",
     raises(errors.UniqueConstraintError, client.create_collection, "things", embedding_function=None))
step("get_or_create", client.get_or_create_collection("things", embedding_function=None).id == c.id)
step("get", client.get_collection("things", embedding_function=None).id == c.id)
if hasattr(client, "get_collection_by_id"):
    step("get by id", client.get_collection_by_id(c.id, embedding_function=None).name == "things")
step("list", [x.name for x in client.list_collections()] == ["things"])
step("count collections", client.count_collections() == 1 and other.count_collections() == 0)
step("isolation", raises(errors.NotFoundError, other.get_collection, "things"))

vectors = np.random.default_rng(0).standard_normal((300, 8), dtype=np.float32)
ids = [f"id{i}" for i in range(300)]
c.add(ids=ids, embeddings=vectors, documents=[f"text {i}" for i in range(300)],
      metadatas=[{"i": i, "f": i / 2, "even": i % 2 == 0, "s": "ä€"} for i in range(300)])
step("count", c.count() == 300)
got = c.get(ids=["id7"], include=["embeddings", "documents", "metadatas"])
step("float32 exact", np.array_equal(np.asarray(got["embeddings"], np.float32)[0], vectors[7]))
step("metadata", got["metadatas"] == [{"i": 7, "f": 3.5, "even": False, "s": "ä€"}])
step("whole floats", isinstance(c.get(ids=["id2"])["metadatas"][0]["f"], float))
step("where", len(c.get(where={"$and": [{"i": {"$gte": 10}}, {"even": True}]})["ids"]) == 145)
step("where_document", c.get(where_document={"$contains": "text 29"})["ids"][0] == "id29")
step("limit offset", c.get(limit=2, offset=1)["ids"] == ["id1", "id2"])
step("peek", len(c.peek(3)["ids"]) == 3)
hits = c.query(query_embeddings=vectors[:2], n_results=3, include=["distances", "documents", "embeddings"])
step("query", [h[0] for h in hits["ids"]] == ["id0", "id1"] and len(hits["embeddings"][0]) == 3)
step("query filtered", c.query(query_embeddings=vectors[0], where={"i": 5})["ids"] == [["id5"]])
step("wrong dimension", raises(errors.InvalidArgumentError, c.query, query_embeddings=[1.0, 2.0]))
step("bad filter", raises(Exception, c.get, where={"i": {"$nope": 1}}))
c.update(ids=["id0", "nope"], metadatas=[{"i": None, "new": 1}, {"x": 1}])
step("update", "i" not in c.get(ids=["id0"])["metadatas"][0])
c.update(ids=["id1"], embeddings=[vectors[5]])
step("update embedding", np.allclose(c.get(ids=["id1"], include=["embeddings"])["embeddings"][0], vectors[5]))
c.upsert(ids=["id0", "fresh"], embeddings=vectors[:2], documents=["changed", "fresh"])
step("upsert", c.get(ids=["id0", "fresh"])["documents"] == ["changed", "fresh"])
step("delete ids", c.delete(ids=["fresh"]) in (None, {"deleted": 1}))
c.delete(where={"i": {"$lt": 10}})
step("delete where", c.count() == 291)
c.modify(name="renamed", metadata={"m": 2.0})
step("modify", client.get_collection("renamed", embedding_function=None).metadata == {"m": 2.0})
c.modify(configuration={"hnsw": {"ef_search": 55}})
step("modify configuration",
     client.get_collection("renamed", embedding_function=None).configuration_json["hnsw"]["ef_search"] == 55)
client.create_collection("taken", embedding_function=None)
step("rename onto a taken name", raises(errors.UniqueConstraintError, c.modify, name="taken"))
if hasattr(c, "fork"):
    forked = c.fork("forked")
    step("fork", forked.count() == 291 and forked.id != c.id)
if hasattr(c, "get_indexing_status"):
    step("indexing status", c.get_indexing_status().total_ops == 291)
if hasattr(c, "search"):
    step("search is refused", raises(Exception, c.search, chromadb.Search()))
big = client.create_collection("big", embedding_function=None)
many = np.random.default_rng(1).standard_normal((20000, 32), dtype=np.float32)
start = time.perf_counter()
big.add(ids=[str(i) for i in range(20000)], embeddings=many)
print(f"     20000 x 32 in one call: {time.perf_counter() - start:.2f} s")
step("big", big.count() == 20000)
client.delete_collection("renamed")
step("delete collection", raises(errors.NotFoundError, c.count))
step("delete missing", raises(errors.NotFoundError, client.delete_collection, "renamed"))
if hasattr(admin, "delete_database"):
    admin.delete_database("other", "tenant one")
    step("delete database", admin.list_databases(tenant="tenant one") == [])
step("reset again", client.reset() is True and client.count_collections() == 0)


async def asynchronous():
    client = await chromadb.AsyncHttpClient(host="127.0.0.1", port=port)
    things = await client.create_collection("async", embedding_function=None)
    await things.add(ids=["a"], embeddings=[[1.0, 2.0]])
    found = await things.query(query_embeddings=[[1.0, 2.0]])
    step("async", await things.count() == 1 and found["ids"] == [["a"]])

import asyncio
asyncio.run(asynchronous())
print("complete")
"""


def main() -> None:
    """Start the server, run the tour, stop the server."""
    other, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "chroma", "run", "--path", folder, "--port", "0", "--allow-reset"]
        server = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            port = line.split()[-1].rpartition(":")[2]
            code = subprocess.run([other, "-c", TOUR, port, " ".join(options)], cwd=folder).returncode
        finally:
            server.terminate()
            ended = server.wait(30)
    print(f"tour {code}, server {ended}")
    sys.exit(code or ended)


if __name__ == "__main__":
    main()
