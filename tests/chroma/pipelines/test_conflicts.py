"""Ids that are stored already, or come twice; rows that cannot be stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import chroma
from chroma.errors import IDAlreadyExistsError, InvalidArgumentError
from chroma.pipelines import chunks

from ...support.tiny_embedding import HashEmbedding


@pytest.fixture
def things(client: Any) -> Any:
    return client.create_collection("things", embedding_function=HashEmbedding())


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def record(id: Any, n: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": id, "embedding": [1.0, 2.0, 3.0, float(n)], "n": n, **more}


def held(things: Any) -> dict[str, int]:
    got = things.get(include=["metadatas"])
    return {id: entry["n"] for id, entry in zip(got["ids"], got["metadatas"], strict=True)}


def told(path: Path) -> list[tuple[int, str, Any]]:
    entries = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [(entry["row"], entry["reason"], entry["record"]) for entry in entries]


def counts(report: Any) -> tuple[int, ...]:
    return report.rows, report.added, report.updated, report.skipped, report.rejected


# Two files; ids that come twice in a part (a), in two parts (b), in two files (c); and c is stored already.
ONE = [record("a", 1), record("a", 2), record("b", 3), record("d", 4), record("b", 5), record("c", 6)]
TWO = [record("c", 7), record("e", 8)]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [lines(tmp_path / "1.jsonl", *ONE), lines(tmp_path / "2.jsonl", *TWO)]


def test_skip_keeps_the_first(things: Any, files: list[Path]) -> None:
    things.add(ids=["c"], embeddings=[[0, 0, 0, 0]], metadatas=[{"n": 0}])
    report = things.load(files, on_conflict="skip", batch_size=3)
    assert counts(report) == (8, 4, 0, 4, 0)
    assert held(things) == {"c": 0, "a": 1, "b": 3, "d": 4, "e": 8}


def test_upsert_keeps_the_last(things: Any, files: list[Path]) -> None:
    things.add(ids=["c"], embeddings=[[0, 0, 0, 0]], metadatas=[{"n": 0, "old": True}])
    report = things.load(files, on_conflict="upsert", batch_size=3)
    assert counts(report) == (8, 4, 4, 0, 0)
    assert held(things) == {"c": 7, "a": 2, "b": 5, "d": 4, "e": 8}
    assert things.get(ids=["c"])["metadatas"] == [{"n": 7, "old": True}]  # merged, as an upsert does


def test_error_stops_before_the_part(things: Any, files: list[Path]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"row 1 of .*1.jsonl.*the same as that of an earlier row"):
        things.load(files, batch_size=3)
    assert things.count() == 0
    things.add(ids=["d"], embeddings=[[0, 0, 0, 0]])
    with pytest.raises(IDAlreadyExistsError, match="1 of the ids of .*1.jsonl are stored already, as 'd'"):
        things.load(lines(files[0], *ONE[2:4]), batch_size=10, restart=True)
    assert set(things.get()["ids"]) <= {"b", "d"}


def test_error_with_rejects_goes_on(things: Any, files: list[Path], tmp_path: Path) -> None:
    things.add(ids=["c"], embeddings=[[0, 0, 0, 0]], metadatas=[{"n": 0}])
    rejects = tmp_path / "rejects.jsonl"
    report = things.load(files, batch_size=3, rejects=rejects)
    assert counts(report) == (8, 4, 0, 0, 4)
    assert report.rejects == str(rejects)
    assert held(things) == {"c": 0, "a": 1, "b": 3, "d": 4, "e": 8}
    assert [(row, entry["n"]) for row, _, entry in told(rejects)] == [(1, 2), (4, 5), (5, 6), (0, 7)]
    assert {reason for _, reason, _ in told(rejects)} <= {
        "the id is stored already",
        "the id is the same as that of an earlier row",
    }


BAD = [
    ("{broken", "not valid JSON"),
    ("[1]", "no JSON object"),
    (record(None), "id"),
    (record(""), "id"),
    (record(1.5), "id"),
    (record("x1", tags=[]), "empty"),
    (record("x", tags=[1, "a"]), "tags"),
    (record("x", deep={"a": 1}), "deep"),
    ('{"id": "x", "embedding": [1,2,3,4], "n": NaN}', "not valid JSON"),
    ('{"id": "x", "embedding": [1,2,3,4], "n": 18446744073709551616}', "64 bits"),
    ('{"id": "x", "embedding": [1,2,3,4], "n": [18446744073709551616]}', "64 bits"),
    ({"id": "x", "embedding": [1.0, 2.0]}, "2 numbers"),
    ({"id": "x", "embedding": []}, "embedding"),
    ({"id": "x", "embedding": [1, 2, None, 4]}, "embedding"),
    ({"id": "x", "embedding": ["a", "b", "c", "d"]}, "embedding"),
    ({"id": "x", "n": 1}, "neither an embedding nor a document"),
    ({"id": "x", "document": 5}, "document"),
    ({"id": "x", "embedding": [1, 2, 3, 1e39]}, "embedding"),
    ({"id": "x", "embedding": [1, 2, 3, 4], "chroma:k": 1}, "chroma:"),
]


@pytest.mark.parametrize("size", [7, 1000])
def test_bad_lines(things: Any, tmp_path: Path, size: int) -> None:
    """Each among good ones: told with its row, the reason and itself, and all the others are stored."""
    rows: list[Any] = []
    for number, (bad, _) in enumerate(BAD):
        rows += [record(f"good{number}", number), bad, ""]
    rejects = tmp_path / "rejects.jsonl"
    report = things.load(lines(tmp_path / "a.jsonl", *rows), batch_size=size, rejects=rejects)
    assert counts(report) == (3 * len(BAD), len(BAD), 0, 0, len(BAD))
    assert held(things) == {f"good{number}": number for number in range(len(BAD))}
    for number, ((row, reason, entry), (bad, part)) in enumerate(zip(told(rejects), BAD, strict=True)):
        assert row == 3 * number + 1
        assert part in reason, reason
        if isinstance(bad, dict):
            assert entry == bad
    lines_told = rejects.read_text("utf-8").splitlines()
    assert {json.loads(line)["file"] for line in lines_told} == {str(tmp_path / "a.jsonl")}


def test_bad_rows_of_a_table(things: Any, tmp_path: Path) -> None:
    vectors = [
        [1.0, 2, 3, 4],
        [float("nan")] * 4,
        [1.0, 2, 3, 4],
        [1.0],
        None,
        [1.0, None, 2, 3],
        [1.0, 2, 3, 4],
    ]
    table = pa.table(
        {
            "id": pa.array(["a", "b", None, "d", "e", "f", "g"]),
            "embedding": pa.array(vectors, pa.list_(pa.float32())),
            "f": pa.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, float("inf")]),
            "tags": pa.array([["x"], ["x"], ["x"], ["x"], ["x"], ["x"], ["x"]]),
        }
    )
    rejects = tmp_path / "rejects.jsonl"
    report = things.load(table, rejects=rejects)
    assert counts(report) == (7, 1, 0, 0, 6)
    assert [row for row, _, _ in told(rejects)] == [1, 2, 3, 4, 5, 6]
    assert things.get()["ids"] == ["a"]


def test_columns_that_no_row_is_right_with_are_an_error(things: Any, tmp_path: Path) -> None:
    table = pa.table({"id": ["a"], "document": ["x"], "d": pa.array([{"a": 1}])})
    with pytest.raises(InvalidArgumentError, match="the stream: the column 'd' is struct"):
        things.load(table, rejects=tmp_path / "rejects.jsonl")


def test_without_a_file_the_first_bad_row_stops(things: Any, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *(record(f"i{n}") for n in range(20)), "{broken", record("late"), "{")
    with pytest.raises(InvalidArgumentError, match=r"row 20 of .*a.jsonl cannot be stored: .*rejects='"):
        things.load(path, batch_size=10)
    assert things.count() == 20
    lines(path, *(record(f"j{n}") for n in range(5)), "{broken")
    with pytest.raises(InvalidArgumentError, match="row 5 of"):
        things.load(path, batch_size=1000, restart=True)


def test_not_too_many(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path / "db") as client:
        not_too_many(client.create_collection("things", embedding_function=None), tmp_path)


def not_too_many(things: Any, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", *[record("a"), "{", "{", record("b"), "{", record("c")])
    rejects = tmp_path / "rejects.jsonl"
    with pytest.raises(InvalidArgumentError, match="more than 2 rows cannot be stored"):
        things.load(path, rejects=rejects, max_rejects=2, batch_size=3)
    assert len(told(rejects)) == 3
    report = things.load(path, rejects=rejects, max_rejects=3, batch_size=3)
    assert (report.rows, report.added, report.rejected) == (6, 3, 3)
    assert [row for row, _, _ in told(rejects)] == [1, 2, 4]
    assert "3 rejected (see" in str(report)


@pytest.mark.parametrize("on_conflict", ["error", "skip", "upsert"])
def test_a_bad_row_takes_no_other_row_with_it(things: Any, tmp_path: Path, on_conflict: Any) -> None:
    """The first one of an id that is right is stored."""
    rows = [record("a", tags=[]), record("a", tags={}), record("a", 1), record("b", 2)]
    report = things.load(
        lines(tmp_path / "a.jsonl", *rows), on_conflict=on_conflict, rejects=tmp_path / "rejects.jsonl"
    )
    assert counts(report) == (4, 2, 0, 0, 2)
    assert held(things) == {"a": 1, "b": 2}
    assert [row for row, _, _ in told(tmp_path / "rejects.jsonl")] == [0, 1]


def test_many_bad_rows_are_not_all_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lines(tmp_path / "a.jsonl", *({"id": str(n)} for n in range(5_000)))
    tried = []
    fitting = chunks._fitting

    def count(*arguments: Any) -> Any:
        tried.append(True)
        return fitting(*arguments)

    monkeypatch.setattr(chunks, "_fitting", count)
    with chroma.EphemeralClient(private=True) as client:
        things = client.create_collection("things", embedding_function=None)
        with pytest.raises(InvalidArgumentError, match="row 0 of"):
            things.load(path)
        with pytest.raises(InvalidArgumentError, match="more than 10 rows"):
            things.load(path, rejects=tmp_path / "rejects.jsonl", max_rejects=10)
    assert len(tried) < 500


def test_the_file_of_rejects_is_no_source(things: Any, tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", record("a"), "{")
    for _ in range(2):
        report = things.load(tmp_path, rejects=tmp_path / "rejects.jsonl", on_conflict="skip")
        assert (report.rows, report.rejected) == (2, 1)
