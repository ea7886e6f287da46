"""The reprs of objects and the bytes of their pickles.

Placeholders replace ids, folders and file sizes, because these differ between machines.
"""

from __future__ import annotations

import pickle
import re
import tempfile
from collections.abc import Iterator
from typing import Any

import chroma

from .values import made

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SIZE = re.compile(r"(?<=>size </span>)[^<]+")


def frozen() -> dict[str, Any]:
    """Return all texts and pickles as JSON data. Pickles differ between Pythons; these are from 3.11."""
    with tempfile.TemporaryDirectory() as folder:
        shown = {
            name: {kind: _plain(text, folder) for kind, text in texts}
            for name, texts in ((name, _texts(value)) for name, value in _things(folder))
        }
    pickles = {name: pickle.dumps(value, 4).hex() for name, value in made()}
    return {"texts": shown, "pickles": pickles}


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    yield "repr", repr(value)
    if str(value) != repr(value):
        yield "str", str(value)
    if hasattr(value, "_repr_html_"):
        yield "html", value._repr_html_()


def _plain(text: str, folder: str) -> str | list[str]:
    """Return a text, or a list of lines for several lines. Markup has one line per element."""
    text = _ID.sub("ID", text.replace(folder, "FOLDER"))
    text = re.sub(r" at 0x[0-9a-f]+", " at ADDRESS", _SIZE.sub("SIZE", text))
    lines = text.replace("><", ">\n<").split("\n")
    return text if len(lines) == 1 else lines


def _things(folder: str) -> Iterator[tuple[str, Any]]:
    yield from ((f"value {name}", value) for name, value in made())
    yield "settings", chroma.Settings(is_persistent=True, persist_directory="db", chroma_http_retries=5)
    with chroma.EphemeralClient(private=True) as client:
        yield "client in memory", client
        yield from _collections(client)
    with chroma.PersistentClient(f"{folder}/db") as client:
        yield "client of a folder", client
        yield from ((f"{name}, in a folder", value) for name, value in _collections(client))
    with chroma.AdminClient(chroma.Settings(is_persistent=True, persist_directory=f"{folder}/db")) as admin:
        yield "admin", admin


def _collections(client: Any) -> Iterator[tuple[str, Any]]:
    empty = client.create_collection("empty", embedding_function=None, metadata={"purpose": "none"})
    yield "empty collection", empty
    yield "empty get", empty.get()
    things = client.create_collection(
        "things", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )
    things.add(
        ids=["a", "b", "<c>"],
        embeddings=[[1, 0], [0, 1], [3, 4]],
        documents=["one & only", None, "third"],
        metadatas=[{"n": 1, "tags": ["x", "y"]}, None, {"n": 2.5, "late": True}],
        uris=[None, "file:///b", None],
    )
    yield "collection", things
    yield "get", things.get(include=["documents", "metadatas", "uris"])
    yield "query", things.query(query_embeddings=[[1, 0]], n_results=2, include=["documents", "distances"])
    yield "describe", things.describe()
    yield "facets", things.facets(["n", "tags", "none"])
