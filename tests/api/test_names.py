"""Names that are not valid Unicode are refused with a message that can be printed, everywhere alike."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

import chroma
from chroma.errors import ChromaError, InvalidArgumentError

from ..support.checks import refused

ODD = "ab\ud800cd"

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "create": lambda client, things: client.create_collection(ODD),
    "get or create": lambda client, things: client.get_or_create_collection(ODD),
    "open": lambda client, things: client.get_collection(ODD),
    "drop": lambda client, things: client.delete_collection(ODD),
    "rename": lambda client, things: things.modify(name=ODD),
    "set tenant": lambda client, things: client.set_tenant(ODD),
    "set database": lambda client, things: client.set_database(ODD),
    "collection metadata": lambda client, things: client.create_collection("new", metadata={ODD: 1}),
    "space": lambda client, things: client.create_collection("new", metadata={"hnsw:space": ODD}),
    "ids": lambda client, things: things.get(ids=ODD),
    "deleted ids": lambda client, things: things.delete(ids=[ODD]),
    "key": lambda client, things: things.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{ODD: 1}]),
    "key of NaN": lambda client, things: things.add(
        ids=["a"], embeddings=[[1, 2]], metadatas=[{ODD: float("nan")}]
    ),
    "value": lambda client, things: things.update(ids=["a"], metadatas=[{"k": [ODD]}]),
    "document": lambda client, things: things.update(ids=["a"], documents=[ODD], embeddings=[[1, 2]]),
    "filter key": lambda client, things: things.get(where={ODD: 1}),
    "filter value": lambda client, things: things.get(where={"k": ODD}),
    "operator": lambda client, things: things.get(where={"k": {ODD: 1}}),
    "text filter": lambda client, things: things.get(where_document={"$contains": ODD}),
    "order": lambda client, things: things.get(order_by=ODD),
    "include": lambda client, things: things.get(include=[ODD]),
    "columns": lambda client, things: things.to_arrow([ODD]),
    "SQL": lambda client, things: client.sql(f"select '{ODD}'"),
    "file": lambda client, things: things.load(f"/{ODD}.csv"),
    "export": lambda client, things: things.export(f"/{ODD}.parquet"),
}


WITH_ARROW = {"columns", "SQL", "file", "export"}  # the client alone may be installed without it


def test_names_are_refused_printably(client: Any, collection: Any) -> None:
    for name, call in CALLS.items():
        if name in WITH_ARROW and importlib.util.find_spec("pyarrow") is None:
            continue
        with pytest.raises(InvalidArgumentError) as caught:
            call(client, collection)
        for text in (str(caught.value), caught.value.message()):
            assert "\\ud800" in text, name
            text.encode()


class Surprising:
    def __init__(self, shown: str | None) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        if self._shown is None:
            raise OSError("no repr")
        return self._shown


def test_values_whose_repr_is_surprising(collection: Any) -> None:
    for shown, part in ((ODD, "\\ud800"), (None, "a Surprising, whose repr fails with OSError")):
        with refused(part):
            collection.add(ids=[Surprising(shown)], embeddings=[[1, 2]])


def test_every_message_can_be_printed() -> None:
    error = ChromaError(f"about {ODD}", 5)
    assert error.message() == "about ab\\ud800cd, 5"
    str(error).encode()
    assert str(ChromaError("Grüße 🙂")) == "Grüße 🙂"


def test_paths(tmp_path: Any) -> None:
    for path in (f"{tmp_path}/{ODD}", f"{tmp_path}/a\0b"):
        with refused("path", "a character that no path has"):
            chroma.PersistentClient(path)
