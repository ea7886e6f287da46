"""smoke_client.py thin|full URL: tests `import chroma` with the client alone, or beside the full package.

Tests the main functions with the server at the URL, and the risks of a module that turns itself into a
package.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.resources
import importlib.util
import inspect
import pickle
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

threads = [threading.Thread(target=importlib.import_module, args=("chroma.errors",)) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()

import chroma  # noqa: E402  first by several threads at once, on purpose
import chroma.errors  # noqa: E402
from chroma.api.models.Collection import Collection  # noqa: E402
from chroma.config import Settings  # noqa: E402


def refused(call: Callable[[], Any], *words: str) -> None:
    try:
        call()
    except (chroma.errors.UnsupportedError, chroma.errors.InvalidArgumentError) as error:
        assert all(word in str(error) for word in words), str(error)
    else:
        raise AssertionError(f"expected an error with {words}")


def package(thin: bool) -> None:
    folder = Path(chroma.__file__).parent
    assert (folder.parent.name == "chroma_client") == thin, chroma.__file__
    assert chroma.__version__
    assert chroma.Collection is Collection is importlib.import_module("chroma").Collection
    assert inspect.getmodule(chroma.errors.NotFoundError) is chroma.errors
    for value in (chroma.errors.NotFoundError("gone"), Settings(chroma_http_retries=1), chroma.HttpClient):
        back = pickle.loads(pickle.dumps(value))
        assert type(back) is type(value)
        assert getattr(back, "args", None) == getattr(value, "args", None)
    assert (importlib.resources.files("chroma") / "py.typed").is_file()
    found = importlib.util.find_spec("chroma")
    assert found is not None
    assert found is chroma.__spec__
    assert found.parent == chroma.__package__ == "chroma"
    assert "HttpClient" in inspect.getsource(importlib.import_module("chroma.factories"))
    assert "lazy" in inspect.getsource(chroma) or "first used" in inspect.getsource(chroma)
    names = [name for name in chroma.__all__ if getattr(chroma, name) is None]
    assert not names, names


def folder_of_files() -> None:
    """Check that `import chroma_client` is harmless and cannot load the modules again under its name."""
    import chroma_client  # type: ignore[import-not-found, unused-ignore]

    try:
        chroma_client.HttpClient  # noqa: B018
    except AttributeError as error:
        assert "import chroma" in str(error)
    try:
        importlib.import_module("chroma_client.chroma")
    except ModuleNotFoundError:
        return
    raise AssertionError("the modules could be loaded twice")


def what_is_missing(url: str) -> None:
    wanted = ("pip install chroma-arrow`", "HttpClient")
    for call in (chroma.Client, chroma.EphemeralClient, chroma.PersistentClient, chroma.AdminClient):
        refused(call, *wanted)
    chroma.api.shared_system_client.SharedSystemClient.clear_system_cache()
    with chroma.HttpClient(url) as client:
        things = client.get_or_create_collection("smoke-default")
        wanted = ("pip install chroma-arrow`", "embeddings", "embedding_function")
        refused(lambda: things.add(ids=["a"], documents=["x"]), *wanted)
        refused(lambda: things.query(query_texts=["x"]), *wanted)
        client.delete_collection("smoke-default")
    functions = importlib.import_module("chroma.utils.embedding_functions")
    refused(lambda: functions.OpenAIEmbeddingFunction(api_key_env_var="NO_KEY_HERE"), "a key", "NO_KEY_HERE")
    assert functions.CallableEmbeddingFunction(lambda texts: [[1.0]] * len(texts))(["x"])[0].tolist() == [1]
    try:
        importlib.import_module("chroma.cli")
    except ModuleNotFoundError:
        return
    raise AssertionError("the client holds the commands")


def whole_package() -> None:
    with tempfile.TemporaryDirectory() as folder, chroma.PersistentClient(folder) as client:
        client.create_collection("notes").add(ids=["a"], documents=["a red apple"])


def tour(url: str) -> None:
    with chroma.HttpClient(url) as client:
        assert client.heartbeat() > 0
        notes = client.create_collection("smoke", embedding_function=None, metadata={"of": "smoke"})
        notes.add(ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"n": 1}, {"n": 2.5}])
        assert notes.query(query_embeddings=[[1, 0.1]], n_results=1)["ids"] == [["a"]]
        assert notes.get(where={"n": {"$gt": 1}})["metadatas"] == [{"n": 2.5}]
        bulk = client.create_collection("smoke-bulk", embedding_function=None)
        vectors = [[row / 7, 1.0, 0.0] for row in range(500)]
        ids, metadatas = [str(row) for row in range(500)], [{"n": row, "big": 2**60} for row in range(500)]
        bulk.add(ids=ids, embeddings=vectors, metadatas=metadatas)
        back = bulk.get(include=["embeddings", "metadatas"])
        assert (back["ids"], back["metadatas"]) == (ids, metadatas)
        assert back["embeddings"].astype(float).round(4).tolist() == [
            [round(x, 4) for x in v] for v in vectors
        ]
        arrow = all(importlib.util.find_spec(name) is not None for name in ("orjson", "pyarrow"))
        assert (sys.modules.get("pyarrow") is not None) == arrow, (
            "large transfers are Arrow where its packages are installed"
        )
        for name in ("smoke", "smoke-bulk"):
            client.delete_collection(name)


def words(url: str) -> None:
    """Texts become sparse vectors here, with the same numbers where there is no compiled part."""
    functions = importlib.import_module("chroma.utils.embedding_functions")
    bm25 = functions.ChromaBm25EmbeddingFunction(include_tokens=True)
    (made,) = bm25(["Wind turbines need wind"])
    assert dict(zip(made.labels, made.indices)) == {
        "turbin": 823632410,
        "wind": 1083904726,
        "need": 1491351846,
    }
    index = chroma.SparseVectorIndexConfig(embedding_function=bm25, source_key="#document")
    with chroma.HttpClient(url) as client:
        schema = chroma.Schema().create_index(index, key="lex")
        notes = client.create_collection("smoke-words", schema=schema)
        notes.add(ids=["a", "b"], embeddings=[[1], [2]], documents=["Wind turbines need wind", "Bread"])
        search = chroma.Search(rank=chroma.Knn("a turbine", key="lex"))
        assert notes.search(search)["ids"] == [["a"]]
        assert notes.query(query_texts=["breads"], mode="lexical")["ids"] == [["b"]]
        client.delete_collection("smoke-words")


async def asynchronous(url: str) -> None:
    async with await chroma.AsyncHttpClient(url) as client:
        notes = await client.create_collection("smoke-async", embedding_function=None)
        await notes.add(ids=["a"], embeddings=[[1, 0]])
        assert await notes.count() == 1
        await client.delete_collection("smoke-async")


def main(kind: str, url: str) -> None:
    thin = kind == "thin"
    package(thin)
    if importlib.util.find_spec("chroma_client") is not None:
        folder_of_files()
    tour(url)
    words(url)
    asyncio.run(asynchronous(url))
    if thin:
        what_is_missing(url)
        chroma.install_as_chromadb()
        chromadb = importlib.import_module("chromadb")
        assert chromadb.errors.NotFoundError is chroma.errors.NotFoundError
        heavy = {"duckdb", "fastapi", "hnswlib", "onnxruntime"} & sys.modules.keys()
        assert not heavy, heavy
    else:
        whole_package()
    print(f"{kind}: ok on Python {sys.version.split()[0]}, chroma {chroma.__version__}")


if __name__ == "__main__":
    main(*sys.argv[1:])
