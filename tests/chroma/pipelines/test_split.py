"""Documents that are divided while they are loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import chroma
from chroma.errors import InvalidArgumentError, InvalidTypeError

from ...support.tiny_embedding import HashEmbedding


class Words(HashEmbedding):
    """Each token is a word, and overlaps are none."""

    def max_tokens(self) -> int:
        return 40

    def split(self, text: str, tokens: int, overlap: int) -> list[tuple[int, int]]:
        spans, position = [], 0
        while True:
            words = text[position:].split(" ", tokens)
            if len(words) <= tokens:
                return [*spans, (position, len(text))]
            end = position + len(" ".join(words[:tokens]))
            spans.append((position, end))
            position = end + 1


TEXTS = [" ".join(f"w{n}" for n in range(45)), "short", " ".join(f"v{n}" for n in range(85))]
ROWS = {"id": ["a", "b", "c"], "document": TEXTS, "year": [1, 2, 3]}
IDS = ["a#0", "a#1", "b#0", "c#0", "c#1", "c#2"]


@pytest.fixture
def things() -> Iterator[Any]:
    with chroma.EphemeralClient(private=True) as client:
        yield client.create_collection("things", embedding_function=Words())


def check(things: Any) -> None:
    found = things.get(include=["documents", "metadatas"])
    assert found["ids"] == IDS
    for document, metadata in zip(found["documents"], found["metadatas"]):
        whole = TEXTS["abc".index(metadata["chunk_of"])]
        assert document == whole[metadata["chunk_start"] : metadata["chunk_end"]]
    assert [metadata["chunk"] for metadata in found["metadatas"]] == [0, 1, 0, 0, 1, 2]
    assert [metadata.get("year") for metadata in found["metadatas"]] == [1, 1, 2, 3, 3, 3]
    assert things.get(where={"chunk_of": "c"})["ids"] == IDS[3:]


@pytest.mark.parametrize("ending", ["table", "parquet", "csv", "jsonl", "nested.jsonl"])
def test_each_piece_is_a_record(things: Any, tmp_path: Path, ending: str) -> None:
    path: Any = tmp_path / f"a.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table(ROWS), path)
    elif ending == "csv":
        pyarrow.csv.write_csv(pa.table(ROWS), path)
    elif ending.endswith("jsonl"):
        rows = pa.table(ROWS).to_pylist()
        if ending.startswith("nested"):
            rows = [
                {"id": row["id"], "document": row["document"], "metadata": {"year": row["year"]}}
                for row in rows
            ]
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        path = pa.table(ROWS)
    report = things.load(path, split=True)
    assert (report.rows, report.added) == (3, 6)
    check(things)


def test_of_other_columns_and_chosen_metadata(things: Any) -> None:
    table = pa.table({"key": ["a", "b", "c"], "text": TEXTS, "year": [1, 2, 3], "left": ["x"] * 3})
    things.load(table, split=True, columns={"id": "key", "metadata": ["year"]})
    check(things)
    assert "left" not in things.get()["metadatas"][0]


def test_after_a_transform_and_in_small_parts(things: Any) -> None:
    things.load(pa.table(ROWS), split={"tokens": 40, "overlap": 0}, batch_size=1, transform=lambda part: part)
    check(things)


def test_rows_that_cannot_be_divided(things: Any, tmp_path: Path) -> None:
    table = pa.table({"id": ["a", None, "c"], "document": [TEXTS[0], "x", None]})
    report = things.load(table, split=20, rejects=tmp_path / "rejects.jsonl")
    assert (report.added, report.rejected) == (3, 2)
    assert [json.loads(line)["row"] for line in (tmp_path / "rejects.jsonl").read_text().splitlines()] == [
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("table", "split", "error", "text"),
    [
        (
            ROWS | {"embedding": [[1.0] * 4] * 3},
            True,
            InvalidArgumentError,
            "'embedding' has vectors of whole",
        ),
        (ROWS | {"chunk_of": ["x"] * 3}, True, InvalidArgumentError, "'chunk_of'.*rename"),
        (ROWS, "document", InvalidTypeError, "split to be True"),
        (ROWS, {"size": 3}, InvalidArgumentError, "'size'.*tokens, overlap"),
        (ROWS, 41, InvalidArgumentError, "tokens to be 16 to 40"),
        (ROWS | {"document": [1, 2, 3]}, True, InvalidTypeError, "expected texts"),
        ({"id": ["a"], "n": [1]}, True, InvalidArgumentError, "neither a column 'embedding' nor"),
        ({"document": ["a"]}, True, InvalidArgumentError, "no column 'id'"),
    ],
)
def test_what_cannot_be_divided(
    things: Any, table: Any, split: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        things.load(pa.table(table), split=split)
    assert things.count() == 0


def test_a_function_without_tokens(things: Any) -> None:
    with chroma.EphemeralClient(private=True) as client:
        plain = client.create_collection("plain", embedding_function=HashEmbedding())
        with pytest.raises(InvalidArgumentError, match="HashEmbedding has no method split"):
            plain.load(pa.table(ROWS), split=True)
        bare = client.create_collection("bare", embedding_function=None)
        with pytest.raises(InvalidArgumentError, match="embedding function to use split"):
            bare.load(pa.table(ROWS), split=True)
