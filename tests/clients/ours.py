"""Every method of our own clients against a server of another make, with known answers.

The tour works in a tenant of its own, which stays behind without databases. Calls are those of the ordinary
client; asynchronous ones come behind `driven`.
"""

from __future__ import annotations

import inspect
import tempfile
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

import chroma
from chroma.errors import (
    AuthorizationError,
    ChromaError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    UniqueConstraintError,
    UnsupportedError,
)

from ..support import driven


def equal(step: str, got: Any, expected: Any) -> None:
    assert got == expected, step


def raises(step: str, error: type[Exception], call: Callable[[], Any]) -> None:
    try:
        got = call()
    except error:
        return
    raise AssertionError(f"{step}: got {got!r}, expected {error.__name__}")


class Watched:
    """Remembers which public names were used."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.used.add(name)
        return getattr(self.inner, name)

    def missed(self) -> set[str]:
        cls = type(self.inner.inner if isinstance(self.inner, driven.Driven) else self.inner)
        return {name for name, _ in inspect.getmembers(cls) if not name.startswith("_")} - self.used


class Letters(chroma.EmbeddingFunction[Any]):
    """Counts of a, b and c."""

    def __init__(self) -> None:
        pass

    def __call__(self, input: Any) -> Any:
        return [np.array([text.count(letter) for letter in "abc"], np.float32) for text in input]

    @staticmethod
    def name() -> str:
        return "letters"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> Letters:
        return Letters()


def tour(url: str, connect: Callable[..., Any], administer: Callable[[Any], Any]) -> None:
    raises("an unknown tenant", NotFoundError, lambda: connect(url, tenant="nobody-here"))
    client = Watched(connect(url))
    system(client)
    name = f"tour-{uuid.uuid4()}"
    admin = Watched(administer(client.get_settings()))
    equal("get_settings", admin.get_settings().chroma_server_host, client.get_settings().chroma_server_host)
    tenants(admin, name)
    client.set_tenant(name, "stock")
    equal("set_tenant", (client.tenant, client.database), (name, "stock"))
    collections(client)
    things = Watched(client.create_collection("things", embedding_function=Letters()))
    attributes(things, name)
    writes(things)
    reads(things)
    filters(things)
    tables(things)
    versions(things)
    pipelines(things)
    removals(things)
    batches(client)
    absent(client, things)
    client.delete_collection("things")
    client.delete_collection("bulk")
    equal("delete_collection", client.count_collections(), 0)
    raises("a handle on what is gone", NotFoundError, things.count)
    admin.create_database("other", name)
    client.set_database("other")
    equal("set_database", client.count_collections(), 0)
    for database in ("stock", "other"):
        admin.delete_database(database, name)
    equal("delete_database", admin.list_databases(tenant=name), [])
    admin.close()
    client.close()
    raises("a closed client", ChromaError, client.heartbeat)
    for watched in (client, admin, things):
        equal("every method", watched.missed(), set())


def system(client: Any) -> None:
    equal("heartbeat", client.heartbeat() > 10**18, True)
    equal("get_version", type(client.get_version()), str)
    equal("get_max_batch_size", client.get_max_batch_size() > 0, True)
    equal("get_user_identity", client.get_user_identity().user_id, "")
    raises("reset where the server forbids it", AuthorizationError, client.reset)


def tenants(admin: Any, name: str) -> None:
    admin.create_tenant(name)
    equal("get_tenant", admin.get_tenant(name), {"name": name})
    raises("a taken tenant", UniqueConstraintError, lambda: admin.create_tenant(name))
    admin.create_database("stock", name)
    equal("get_database", admin.get_database("stock", name)["name"], "stock")
    raises("a taken database", UniqueConstraintError, lambda: admin.create_database("stock", name))
    raises("no tenant", NotFoundError, lambda: admin.create_database("stock", "nobody-here"))
    equal("list_databases", [d["name"] for d in admin.list_databases(tenant=name)], ["stock"])


def collections(client: Any) -> None:
    one = client.create_collection(
        "one",
        metadata={"note": "x", "n": 2**60, "f": 1.0},
        configuration={"hnsw": {"space": "cosine", "ef_search": 33}},
        embedding_function=None,
    )
    equal("create_collection", (one.name, one.metadata), ("one", {"note": "x", "n": 2**60, "f": 1.0}))
    equal(
        "configuration",
        (one.configuration["hnsw"]["space"], one.configuration["hnsw"]["ef_search"]),
        ("cosine", 33),
    )
    raises("a taken name", UniqueConstraintError, lambda: client.create_collection("one"))
    equal(
        "get_or_create_collection", client.get_or_create_collection("one", embedding_function=None).id, one.id
    )
    equal("get_collection", client.get_collection("one", embedding_function=None).id, one.id)
    equal("get_collection_by_id", client.get_collection_by_id(one.id, embedding_function=None).name, "one")
    raises("an unknown collection", NotFoundError, lambda: client.get_collection("two"))
    one.modify(name="uno", metadata={"note": "y"}, configuration={"hnsw": {"ef_search": 44}})
    again = client.get_collection("uno", embedding_function=None)
    equal("modify", (again.metadata, again.configuration["hnsw"]["ef_search"]), ({"note": "y"}, 44))
    client.create_collection("two", embedding_function=None)
    raises("a rename to a taken name", InternalError, lambda: one.modify(name="two"))
    equal("list_collections", sorted(c.name for c in client.list_collections()), ["two", "uno"])
    equal("list_collections(limit)", len(client.list_collections(limit=1, offset=1)), 1)
    equal("count_collections", client.count_collections(), 2)
    client.delete_collection("uno")
    client.delete_collection("two")
    raises("deleting what is gone", NotFoundError, lambda: client.delete_collection("uno"))


def attributes(things: Any, tenant: str) -> None:
    equal("where it is", (things.name, things.tenant, things.database), ("things", tenant, "stock"))
    things.modify(metadata={"of": "tour"})
    equal("metadata", things.metadata, {"of": "tour"})
    equal("configuration", type(things.configuration["embedding_function"]), Letters)
    equal("configuration_json", things.configuration_json["embedding_function"]["name"], "letters")
    equal("get_model", things.get_model().id, things.id)
    equal("schema", type(things.schema).__name__, "Schema")


def writes(things: Any) -> None:
    things.add(
        ids=["a", "b", "c"],
        documents=["a", "abb", "abcc é"],
        metadatas=[{"n": 1, "s": "x", "t": True}, {"n": 2.5, "tags": ["p", "q"]}, None],
    )
    things.update(ids=["a"], embeddings=[[1, 0, 0]], uris=["file:a"])
    equal("add(documents)", things.count(), 3)
    things.add(ids=["a", "d"], documents=["other", "ddd"], metadatas=[None, {"n": 9}])
    equal("add of a known id", things.get("a")["documents"], ["a"])
    raises("add(strict)", ChromaError, lambda: things.add(ids=["a"], embeddings=[[1, 2, 3]], strict=True))
    things.upsert(
        ids=["d", "e"], embeddings=[[0, 0, 7], [1, 1, 1]], metadatas=[{"m": 1}, {"n": None, "k": 1}]
    )
    equal("upsert", things.get(["d", "e"])["metadatas"], [{"n": 9, "m": 1}, {"k": 1}])
    things.upsert(ids=["d"], metadatas=[{"n": None}])
    equal("upsert(metadatas only)", things.get("d")["metadatas"], [{"m": 1}])
    things.update(ids=["d", "e", "unknown"], documents=["bbb", None, "x"], metadatas=[None, {"k": 2}, None])
    got = things.get(["d", "e"], include=["documents", "metadatas", "embeddings"])
    equal("update", (got["documents"], got["metadatas"]), (["bbb", None], [{"m": 1}, {"k": 2}]))
    equal("update(embedded texts)", got["embeddings"].tolist(), [[0, 3, 0], [1, 1, 1]])
    raises("another dimension", InvalidArgumentError, lambda: things.add(ids=["f"], embeddings=[[1, 2]]))
    raises(
        "a duplicate id", InvalidArgumentError, lambda: things.add(ids=["f", "f"], embeddings=[[1, 2, 3]] * 2)
    )


def reads(things: Any) -> None:
    everything = things.get(include=["documents", "metadatas", "embeddings", "uris"])
    equal("get", everything["ids"], ["a", "b", "c", "d", "e"])
    equal("get(uris)", everything["uris"][:2], ["file:a", None])
    equal("get(embeddings)", everything["embeddings"].dtype, np.dtype(np.float32))
    equal("types of metadata", everything["metadatas"][:3], [
        {"n": 1, "s": "x", "t": True}, {"n": 2.5, "tags": ["p", "q"]}, None,
    ])  # fmt: skip
    equal("get(limit, offset)", things.get(limit=2, offset=1)["ids"], ["b", "c"])
    equal("get(order_by)", things.get(order_by="-n", limit=3)["ids"], ["b", "a", "c"])
    equal("get(order_by=#request)", things.get(["c", "x", "a"], order_by="#request")["ids"], ["c", "a"])
    equal("peek", things.peek(1)["documents"], ["a"])
    found = things.query(
        query_texts=["a", "ccc"], n_results=2, include=["documents", "distances", "embeddings"]
    )
    equal("query", found["ids"], [["a", "e"], ["c", "e"]])
    equal("query(distances)", found["distances"][0], [0.0, 2.0])
    equal("query(embeddings)", found["embeddings"][0].tolist(), [[1, 0, 0], [1, 1, 1]])
    limited = things.query(query_texts="a", ids=["b", "unknown", "d"], n_results=5)
    equal("query(ids)", sorted(limited["ids"][0]), ["b", "d"])
    equal("query(unknown ids)", things.query(query_texts="a", ids=["unknown"])["ids"], [[]])


def filters(things: Any) -> None:
    def ids(**arguments: Any) -> list[str]:
        return list(things.get(**arguments)["ids"])

    equal("where", ids(where={"n": {"$gte": 2}}), ["b"])
    equal("where $or", ids(where={"$or": [{"n": 1}, {"m": 1}]}), ["a", "d"])
    equal("where $ne", ids(where={"s": {"$ne": "x"}}), ["b", "c", "d", "e"])
    equal("where $contains", ids(where={"tags": {"$contains": "p"}}), ["b"])
    equal("where_document", ids(where_document={"$contains": "abb"}), ["b"])
    equal("where_document $regex", ids(where_document={"$regex": "b+c"}), ["c"])
    equal("query(where)", things.query(query_texts="a", where={"n": 1})["ids"], [["a"]])
    near = things.query(query_texts="a", max_distance=0)
    equal("query(max_distance)", (near["ids"], near["distances"]), ([["a"]], [[0.0]]))
    equal("count(where)", things.count(where={"n": {"$gt": 0}}), 2)
    for where in ({"n": {"$foo": 1}}, {"n": 1, "m": 2}, {5: 1}, {"n": float("nan")}, "n m"):
        raises(f"where={where!r}", ValueError, lambda where=where: things.get(where=where))


def tables(things: Any) -> None:
    table = things.to_arrow(["id", "n", "embedding"])
    equal("to_arrow", table.column_names, ["id", "metadata[float].n", "metadata[int].n", "embedding"])
    equal("to_arrow(values)", table["metadata[float].n"].to_pylist(), [None, 2.5, None, None, None])
    equal("to_pandas", things.to_pandas(["id", "n"])["n"].tolist()[:2], [1, 2.5])
    equal("to_polars", things.to_polars(["id"], limit=2)["id"].to_list(), ["a", "b"])
    equal("to_batches", things.to_batches(["id", "document"]).schema.names, ["id", "document"])
    equal("describe", things.describe()["s"].fill, 0.2)
    equal("plot", type(things.plot(label="id")).__name__, "LayerChart")


def versions(things: Any) -> None:
    equal("column_types", things.column_types()["s"], "string")
    if hasattr(things, "columns"):  # a property, which cannot be awaited
        equal("columns", things.columns[:2], ["id", "document"])
    equal("head", things.head(2)["ids"], ["a", "b"])
    equal("sample", len(things.sample(2, seed=1)["ids"]), 2)
    equal("vectors", things.vectors(["a"]).ids, ["a"])
    equal("neighbours", things.neighbours(1).num_rows, 5)
    equal("duplicates", things.duplicates(0).column_names, ["id", "duplicate", "distance"])
    before = things.get()
    things.rename_key("s", "other")  # the reference reports no numbers of records
    equal("rename_key", things.get(ids=["a"])["metadatas"][0]["other"], "x")
    things.rename_key("other", "s")
    equal("what is renamed", things.get(), before)
    things.update(ids=["a"], metadatas=[{"draft": 1}])
    things.drop_key("draft")
    equal("what is dropped", things.get(), before)
    for name, call in (  # only our server has them
        ("update_columns", lambda: things.update_columns({"twice": "2"})),
        ("snapshot", lambda: things.snapshot("before")),
        ("snapshots", things.snapshots),
        ("at", lambda: things.at("before")),
        ("restore", lambda: things.restore("before")),
        ("drop_snapshot", lambda: things.drop_snapshot("before")),
    ):
        raises(name, UnsupportedError, call)


def pipelines(things: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = things.export(f"{folder}/things.parquet")
        equal("export", report.rows, 5)
        again = things.load(f"{folder}/things.parquet", on_conflict="skip", job="tour")
        equal("load", (again.added, again.skipped), (0, 5))


def removals(things: Any) -> None:
    equal("delete(ids)", things.delete(ids=["e", "unknown"]), {"deleted": 1})
    equal("delete(where, limit)", things.delete(where={"n": {"$gte": 0}}, limit=1), {"deleted": 1})
    equal("delete(where_document)", things.delete(where_document={"$contains": "bbb"}), {"deleted": 1})
    equal("what is left", things.get()["ids"], ["b", "c"])
    raises("delete()", ValueError, things.delete)


def batches(client: Any) -> None:
    bulk = client.create_collection("bulk", embedding_function=None)
    rows = 2 * client.get_max_batch_size() + 7
    vectors = np.random.default_rng(0).random((rows, 4), dtype=np.float32)
    bulk.add(
        ids=[f"r{i}" for i in range(rows)], embeddings=vectors, metadatas=[{"i": i} for i in range(rows)]
    )
    equal(f"a batch of {rows}", bulk.count(), rows)
    back = bulk.get(include=["embeddings"])
    equal("their order", back["ids"] == [f"r{i}" for i in range(rows)], True)
    equal("their vectors, bit by bit", back["embeddings"].tobytes() == vectors.tobytes(), True)


def absent(client: Any, things: Any) -> None:
    raises("query(exact)", UnsupportedError, lambda: things.query(query_texts="a", exact=True))
    raises("query(diversity)", UnsupportedError, lambda: things.query(query_texts="a", diversity=1))
    raises("query(explain)", UnsupportedError, lambda: things.query(query_texts="a", explain=True))
    raises("facets", UnsupportedError, lambda: things.facets("n"))
    raises("where #id", UnsupportedError, lambda: things.get(where={"#id": "a"}))
    raises("fork", UnsupportedError, lambda: things.fork("copy"))
    raises("compact", UnsupportedError, things.compact)
    raises("Client.compact", UnsupportedError, client.compact)
    raises("sql", UnsupportedError, lambda: client.sql("select 1"))
    raises("Collection.sql", UnsupportedError, lambda: things.sql("select 1"))
    raises("backup", UnsupportedError, lambda: client.backup("nowhere"))
    raises("recall", UnsupportedError, things.recall)
    raises("browse", UnsupportedError, things.browse)
    raises("Client.browse", UnsupportedError, client.browse)
    raises("info", UnsupportedError, things.info)
    raises("get_indexing_status", UnsupportedError, things.get_indexing_status)
    raises("search", UnsupportedError, lambda: things.search(chroma.Search()))
    raises("fork_count", UnsupportedError, things.fork_count)
    raises("attach_function", UnsupportedError, things.attach_function)
    raises("detach_function", UnsupportedError, things.detach_function)
    raises("get_attached_function", UnsupportedError, things.get_attached_function)
