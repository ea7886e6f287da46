"""Servers that lie in Arrow, and tables that a program made from broken buffers: errors of the package."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import chroma
from chroma import errors
from chroma.wire import content_negotiation

from ..chroma.http.scripted import Reply, scripted
from . import arrow_samples as samples

OWN = {"version": "1", "max_body_bytes": 1 << 30, "arrow": "application/vnd.apache.arrow.stream"}
FULL = ["documents", "embeddings", "metadatas", "uris"]


def _without(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    return batch.drop_columns([name])


def _as(batch: pa.RecordBatch, name: str, array: pa.Array) -> pa.RecordBatch:
    place = batch.schema.get_field_index(name)
    return batch.set_column(place, name, array)


def _offsets(data: bytes) -> bytes:
    """Offsets of texts that lead out of the buffer."""
    right = np.array([0, 2, 4, 6, 8, 10, 12], np.int32).tobytes()  # of r0, r1, …
    assert right in data
    return data.replace(right, np.array([0, 2, 4, 6, 8, 10, 2**31 - 9], np.int32).tobytes(), 1)


_HITS = samples.hits_batch(6)
_LIES: dict[str, tuple[bytes, str]] = {
    "offsets": (_offsets(samples.stream(_HITS)), "broken"),
    "no id": (samples.stream(_without(_HITS, "id")), "'id' 0 times"),
    "no vectors": (samples.stream(_without(_HITS, "embedding")), "'embedding' 0 times"),
    "an id of numbers": (samples.stream(_as(_HITS, "id", pa.array(range(6)))), "'id' as int64"),
    "a null as id": (samples.stream(_as(_HITS, "id", pa.array([None, *"bcdef"]))), "nulls"),
    "metadata no JSON": (samples.stream(_as(_HITS, "metadata", pa.array(["{"] * 6))), "valid JSON"),
    "metadata no object": (samples.stream(_as(_HITS, "metadata", pa.array(["5"] * 6))), "no JSON objects"),
    "vectors of doubles": (
        samples.stream(_as(_HITS, "embedding", pa.array([[1.0]] * 6, pa.list_(pa.float64(), 1)))),
        "'embedding' as",
    ),
    "vectors with gaps": (
        samples.stream(_as(_HITS, "embedding", pa.array([None] * 6, pa.list_(pa.float32(), 4)))),
        "nulls",
    ),
    "categories": (samples.stream(samples.with_categories(6)), "dictionary|'metadata' 0 times"),
    "compressed": (samples.stream(_HITS, compression="zstd"), "compressed"),
    "compressed as in version 4": (samples.compressed_v4(_HITS), "compressed"),
    "cut": (samples.stream(_HITS)[:-9], "cut off"),
    "nothing": (b"", "cut off"),
    "no schema": (samples.stream(_HITS)[-8:], "no schema"),
    "JSON": (b'{"ids": []}', "no Arrow stream"),
}


def _get(things: Any) -> Any:
    return things.get(include=FULL)


def _query(things: Any) -> Any:
    return things.query(query_embeddings=[[0.0] * 4] * 2, n_results=300, include=[*FULL, "distances"])


def _table(things: Any) -> Any:
    return things.to_arrow()


@pytest.mark.parametrize("call", [_get, _query, _table])
@pytest.mark.parametrize("lie", _LIES)
def test_an_answer_that_lies_is_an_error(call: Callable[[Any], Any], lie: str) -> None:
    body, words = _LIES[lie]
    if call is _table and lie in (
        "a null as id",
        "metadata no JSON",
        "metadata no object",
        "vectors with gaps",
    ):
        pytest.skip("a table shows what it gets")
    with scripted(chroma_arrow=OWN) as server:
        server.script = lambda request: Reply(body=body)
        client = chroma.HttpClient(port=server.port)
        with pytest.raises(errors.ServerConnectionError, match=words):
            call(client.get_collection("things"))
        client.close()


@pytest.mark.parametrize(
    "numbers", [[0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 1, 1], [0, 0, 0, 2, 2, 2], [-1, 0, 0, 1, 1, 1]], ids=str
)
def test_hits_that_no_query_has_are_an_error(numbers: list[int]) -> None:
    body = samples.stream(_as(_HITS, "query", pa.array(numbers, pa.int32())))
    read = partial(content_negotiation.read_hits, fields=frozenset({"embeddings"}), queries=2, k=5)
    with pytest.raises(errors.ServerConnectionError, match="none to 2 queries"):
        content_negotiation.answered(read, body, "http://liar")


def test_more_rows_than_were_asked_for_are_an_error() -> None:
    with scripted(chroma_arrow=OWN) as server:
        server.script = lambda request: Reply(body=samples.stream(samples.record_batch(30)))
        client = chroma.HttpClient(port=server.port)
        with pytest.raises(errors.ServerConnectionError, match="30 rows, and at most 25"):
            client.get_collection("things").get(limit=25, include=FULL)
        client.close()


def _broken_table() -> pa.Table:
    offsets = pa.py_buffer(np.array([0, 1 << 30, 2], np.int32))
    texts = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"ab"))
    return pa.table({"id": ["a", "b"], "document": texts, "embedding": [[1.0, 2.0]] * 2})


def test_a_table_of_broken_buffers_is_refused() -> None:
    client = chroma.EphemeralClient()
    things = client.create_collection("broken")
    table = _broken_table()
    for use in (
        lambda: things.add(table),
        lambda: things.upsert(table.to_batches()[0]),
        lambda: things.load(table),
        lambda: things.load(table.to_reader(), job="mine"),
        lambda: things.load(iter(table.to_batches())),
        lambda: client.sql("select * from t", tables={"t": table}),
    ):
        with pytest.raises(errors.InvalidArgumentError, match="broken"):
            use()
    assert things.count() == 0
    client.close()


@pytest.mark.parametrize("kind", ["arrow", "parquet", "jsonl", "csv"])
def test_a_broken_file_leaves_a_load_that_goes_on(tmp_path: Path, kind: str) -> None:
    """An error that names file and row; then the same call goes on with the right file, or begins anew."""
    path = tmp_path / f"records.{kind}"
    right = _file(kind)
    path.write_bytes(_damaged(kind, right))
    client = chroma.PersistentClient(tmp_path / "db")
    things = client.create_collection("things")
    for _ in range(2):
        with pytest.raises(errors.InvalidArgumentError, match=rf"records\.{kind}.*(row|r444)"):
            things.load(path, batch_size=100)
    assert things.count() in (0, 100, 200, 300, 400)
    path.write_bytes(right)
    report = things.load(path, batch_size=100, restart=True, on_conflict="skip")
    assert (things.count(), report.rows) == (500, 500)
    client.close()


def _file(kind: str) -> bytes:
    batches = [samples.record_batch(50, start) for start in range(0, 500, 50)]
    if kind == "arrow":
        return samples.stream(*batches, file=True)
    rows = pa.Table.from_batches(batches).to_pylist()
    if kind == "jsonl":
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    if kind == "csv":
        lines = [f'{row["id"]},text {row["id"]},"{row["embedding"]}"' for row in rows]
        return "\n".join(["id,document,embedding", *lines]).encode()
    return samples.packed_parquet(pa.Table.from_batches(batches))


def _damaged(kind: str, data: bytes) -> bytes:
    if kind == "jsonl":
        return data.replace(b'{"id": "r444"', b'{"id": r444"', 1)
    if kind == "csv":
        return data.replace(b"r444,text r444", b"r444,text,r444", 1)
    at = data.index(b"r444")
    return data[:at] + b"\xff" + data[at + 1 :]
