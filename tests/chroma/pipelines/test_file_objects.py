"""File objects as source and target: standard streams, pipes, files in memory."""

from __future__ import annotations

import gzip
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import chroma
from chroma.errors import InvalidArgumentError, InvalidTypeError, WriteFailedError

from ..cli.running import run


@pytest.fixture
def things() -> Iterator[Any]:
    with chroma.EphemeralClient(private=True) as client:
        things = client.create_collection("things", embedding_function=None)
        things.add(
            ids=[f"i{n}" for n in range(100)],
            embeddings=[[n, 1] for n in range(100)],
            metadatas=[{"n": n, "zip": f"{n:05}"} for n in range(100)],
        )
        yield things


def content(things: Any) -> Any:
    got = things.get(include=["metadatas", "embeddings"])
    return got["ids"], got["metadatas"], got["embeddings"].tolist()


@pytest.mark.parametrize("format", ["parquet", "arrow", "jsonl"])
def test_there_and_back(things: Any, format: Any) -> None:
    before, target = content(things), io.BytesIO()
    report = things.export(target, format=format)
    assert (report.rows, report.bytes, report.files) == (100, len(target.getvalue()), ("<file object>",))
    things.delete(ids=before[0])
    assert things.load(io.BytesIO(target.getvalue()), format=format, batch_size=30).added == 100
    assert content(things) == before
    if format == "arrow":
        assert pa.ipc.open_stream(target.getvalue()).read_all().num_rows == 100


@pytest.mark.parametrize("format", ["parquet", "csv", "jsonl", "jsonl.gz"])
def test_pipes(things: Any, format: str) -> None:
    """They cannot be read twice; the caller closes them."""
    table = pa.table({"id": [f"p{n}" for n in range(5000)], "embedding": [[1.0, 2.0]] * 5000})
    data = {
        "csv": b"id,embedding,zip\n" + b"".join(b'p%d,"[1,2]",01\n' % n for n in range(5000)),
        "jsonl": b"".join(b'{"id": "p%d", "embedding": [1, 2]}\n' % n for n in range(5000)),
    }
    data["jsonl.gz"] = gzip.compress(data["jsonl"])
    sink = io.BytesIO()
    pq.write_table(table, sink)
    data["parquet"] = sink.getvalue()
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as file:
            file.write(data[format])

    writer = threading.Thread(target=write)
    writer.start()
    with open(reading, "rb") as source:
        report = things.load(source, format=format.removesuffix(".gz"))
        assert not source.closed
    writer.join()
    assert report.added == 5000
    assert report.types.get("zip") == ("string" if format == "csv" else None)


def test_files_by_their_names(things: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a", "embedding": [1, 2]}\n')
    with open(tmp_path / "a.jsonl", "rb") as source:
        assert things.load(source).added == 1
    (tmp_path / "b.jsonl").write_text("{")
    with open(tmp_path / "b.jsonl", "rb") as source:
        with pytest.raises(InvalidArgumentError, match=r"row 0 of .*b\.jsonl"):
            things.load(source)


def test_a_file_object_goes_on_by_the_name_of_its_job(tmp_path: Path) -> None:
    lines = [f'{{"id": "a{n}", "embedding": [1, 2]}}\n'.encode() for n in range(30)]
    with chroma.PersistentClient(tmp_path) as client:
        things = client.create_collection("things", embedding_function=None)
        with pytest.raises(InvalidArgumentError, match="row 25 of <file object>"):
            things.load(io.BytesIO(b"".join([*lines[:25], b"{"])), format="jsonl", job="a", batch_size=10)
        report = things.load(io.BytesIO(b"".join(lines)), format="jsonl", job="a", batch_size=10)
        assert (report.rows, report.resumed, things.count()) == (30, 20, 30)


def test_what_cannot_be(things: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidTypeError, match="open it with mode 'rb'"):
        things.load(io.StringIO("x"), format="csv")
    with pytest.raises(InvalidArgumentError, match="Expected format to be one of"):
        things.load(io.BytesIO(b"x"))
    with pytest.raises(InvalidTypeError, match="open it with mode 'wb'"):
        things.export(io.StringIO(), format="jsonl")
    with pytest.raises(InvalidArgumentError, match="pass format="):
        things.export(io.BytesIO())
    with pytest.raises(InvalidArgumentError, match="path is a file object"):
        things.export(io.BytesIO(), format="parquet", partition_by="n")


class Full(io.BytesIO):
    def write(self, data: Any) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk(things: Any) -> None:
    with pytest.raises(WriteFailedError, match="<file object>: No space left"):
        things.export(Full(), format="jsonl")


# ---------------------------------------------------------------------------- the command


def test_the_standard_streams(tmp_path: Path) -> None:
    rows = b"id;embedding;zip\r\na;[1,2];01067\r\n"
    options = ["--format", "csv", "--create", "--separator", ";"]
    done = run("import", tmp_path / "db", "things", "-", *options, input=rows)
    assert done.exit_code == 0, done.stderr
    assert "1 added" in done.stdout and "zip string" in done.stdout
    done = run("export", tmp_path / "db", "things", "-", "--format", "jsonl")
    assert done.stdout_bytes == b'{"id":"a","metadata":{"zip":"01067"},"embedding":[1.0,2.0]}\n'
    assert "1 row of things to " in done.stderr
    options = ["--format", "jsonl", "--create"]
    again = run("import", tmp_path / "db", "again", "-", *options, input=done.stdout_bytes)
    assert again.exit_code == 0, again.stderr
    done = run("export", tmp_path / "db", "again", "-", "--format", "parquet", "--json")
    assert pq.read_table(io.BytesIO(done.stdout_bytes)).num_rows == 1
    assert done.stderr.startswith("{")


def test_wrong_use_of_standard_streams(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path / "db") as client:
        client.create_collection("things", embedding_function=None)
    for arguments, text in (
        (["import", tmp_path / "db", "things", "-"], "pass --format"),
        (["import", tmp_path / "db", "things", "-", "a.csv", "--format", "csv"], "beside other sources"),
        (["export", tmp_path / "db", "things", "-"], "pass --format"),
        (
            ["import", tmp_path / "db", "things", "-", "--format", "csv"],
            "cannot be read as csv: it is empty",
        ),
    ):
        done = run(*arguments)
        assert (done.exit_code, text in done.stderr) == (2, True), done.stderr
