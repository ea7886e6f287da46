"""Whatever goes in comes out as a table, and goes in again unchanged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chroma

from ...conftest import CLIENTS
from .support import contents, records


@pytest.fixture(scope="module", params=CLIENTS)
def anywhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of every kind, one for all examples."""
    with CLIENTS[request.param](tmp_path_factory.mktemp("round") / "db") as client:
        yield client


def streamed(collection: Any) -> Any:
    batches = collection.to_batches()
    if hasattr(batches, "aread_all"):
        from ...support import driven

        return driven.run(batches.aread_all())
    return batches.read_all()


class Capsule:
    """Nothing but the interface."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


EVERYTHING = ["documents", "metadatas", "uris", "embeddings"]
OUT = {
    "arrow": lambda collection: collection.to_arrow(),
    "pandas": lambda collection: collection.to_pandas(),
    "polars": lambda collection: collection.to_polars(),
    "lazy": lambda collection: collection.to_polars().lazy(),
    "batches": streamed,
    "json": lambda collection: collection.to_arrow(metadata="json"),
    "capsule": lambda collection: Capsule(collection.to_arrow()),
    "result": lambda collection: collection.get(include=EVERYTHING),
    "result as pandas": lambda collection: collection.get(include=EVERYTHING).to_pandas(),
    "hits": lambda collection: collection.query(
        query_embeddings=[[0.0, 0.0, 0.0]], n_results=100, include=EVERYTHING
    ),
}


def fill(client: Any, rows: dict[str, Any], history: Any) -> Any:
    """The records, and what happens to some of them, over segments and log."""
    for name in ("source", "target"):
        with contextlib.suppress(chroma.errors.NotFoundError):
            client.delete_collection(name)
    source = client.create_collection("source", embedding_function=None)
    source.add(**rows)
    for step in history:
        if step == "compact":
            source.compact()
        elif step == "delete" and source.count() > 1:
            source.delete(source.get(limit=1)["ids"])
        elif step == "update":
            source.update(source.get(limit=2)["ids"][-1:], metadatas=[{"y": 1.0, "new": "x"}])
        elif step == "add":
            source.add("added later", embeddings=[[1, 2, 3]], metadatas=[{"y": True, "Y": [1.5]}])
    return source


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    rows=records(),
    history=st.lists(st.sampled_from(["compact", "delete", "update", "add"]), max_size=4, unique=True),
    ways=st.lists(st.sampled_from(sorted(OUT)), min_size=3, max_size=3, unique=True),
)
def test_every_table_is_the_records(anywhere: Any, rows: Any, history: Any, ways: Any) -> None:
    source = fill(anywhere, rows, history)
    expected = contents(source)
    for way in ways:
        target = anywhere.create_collection("target", embedding_function=None)
        target.add(OUT[way](source))
        found = contents(target)
        assert (
            (sorted(found, key=repr) == sorted(expected, key=repr)) if way == "hits" else found == expected
        ), way
        anywhere.delete_collection("target")
