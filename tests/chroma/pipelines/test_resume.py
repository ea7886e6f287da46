"""A load that came half way goes on: nothing twice, nothing lost, and the report is that of one run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import chroma
from chroma.errors import CorruptionError, IDAlreadyExistsError, InvalidArgumentError
from chroma.pipelines.load import Load
from chroma.pipelines.load_checkpoint import Journal

from ...support import server
from .test_conflicts import counts, lines, record

PART = 7


class Crash(BaseException):
    """The process ends here; nothing is tidied up."""


def rows() -> list[dict[str, Any]]:
    """Ids that are new, that come again after one or many rows, and (o…) that are stored before."""
    found = [record(f"i{n}", n) for n in range(60)]
    found[5:5] = [record("i3", 105), record("o1", 106), record("o2", 107)]
    found[20:20] = [record("i3", 120), record("o1", 121), {"id": "bad", "n": 1}, record("i18", 122)]
    found[40:40] = [record("o3", 140), record("bad", 141, tags=[]), record("i38", 142)]
    return found


def write(path: Path) -> Path:
    if path.suffix == ".jsonl":
        return lines(path, *rows())
    held = [{name: row.get(name) for name in ("id", "embedding", "n", "tags")} for row in rows()]
    vectors = pa.list_(pa.float32())
    schema = pa.schema(
        [("id", "string"), ("embedding", vectors), ("n", "int64"), ("tags", pa.list_(pa.string()))]
    )
    pq.write_table(pa.Table.from_pylist(held, schema), path, row_group_size=11)
    return path


def prepared(client: Any, name: str) -> Any:
    things = client.create_collection(name, embedding_function=None)
    things.add(ids=["o1", "o2", "o3"], embeddings=[[0, 0, 0, 0]] * 3, metadatas=[{"n": -1, "old": True}] * 3)
    return things


def content(things: Any) -> list[Any]:
    got = things.get(include=["metadatas", "embeddings"])
    return list(zip(got["ids"], got["metadatas"], map(list, got["embeddings"]), strict=True))


@pytest.fixture(scope="module")
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if request.param == "persistent":
        with chroma.PersistentClient(tmp_path_factory.mktemp("resume")) as client:
            yield client
    else:
        with chroma.HttpClient(server.url()) as client:
            yield client
            client.reset()


@contextmanager
def crash(method: str, call: int, after: bool) -> Iterator[None]:
    """The process ends at the nth call of a method of the load, before it or after it."""
    original, close, calls = getattr(Load, method), Journal.close, [0]

    def crashing(self: Any, *arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == call and not after:
            raise Crash
        done = original(self, *arguments)
        if calls[0] == call:
            raise Crash
        return done

    def ended(self: Journal) -> None:
        self._changed = False
        close(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Load, method, crashing)
        patch.setattr(Journal, "close", ended)
        yield


POINTS = [("begin", False), ("begin", True), ("wrote", False), ("checkpoint", False), ("checkpoint", True)]
POINTS += [("finish", False)]


@pytest.mark.parametrize(
    ("client", "ending", "on_conflict"),
    [
        ("persistent", "parquet", "error"),
        ("persistent", "parquet", "skip"),
        ("persistent", "jsonl", "error"),
        ("persistent", "jsonl", "upsert"),
        ("http", "parquet", "upsert"),
        ("http", "jsonl", "skip"),
    ],
    indirect=["client"],
)
def test_crashes_everywhere(
    client: Any, tmp_path: Path, ending: str, on_conflict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the journals of a server's collections are
    path = write(tmp_path / f"a.{ending}")
    whole = prepared(client, "whole")
    options: dict[str, Any] = {"on_conflict": on_conflict, "batch_size": PART}
    expected = whole.load(path, rejects=tmp_path / "whole.jsonl", **options)
    rejects = tmp_path / "rejects.jsonl"
    for number, (method, after) in enumerate(POINTS):
        things = prepared(client, f"things{number}")
        for call in (3, 1):
            with crash(method, call, after):
                if method == "finish" and call > 1:
                    continue
                with pytest.raises(Crash):
                    things.load(path, rejects=rejects, **options)
        # also with other parts than before
        report = things.load(path, rejects=rejects, **options | {"batch_size": PART + 3 * (number % 2)})
        assert counts(report) == counts(expected), (method, after)
        assert content(things) == content(whole)
        assert rejects.read_text() == (tmp_path / "whole.jsonl").read_text()
        if method != "begin":
            assert report.resumed > 0
            assert f"{report.resumed} of the rows were done by an earlier run" in str(report)
        client.delete_collection(things.name)
        rejects.unlink()
    client.delete_collection("whole")


@pytest.fixture
def things(tmp_path: Path) -> Iterator[Any]:
    with chroma.PersistentClient(tmp_path / "db") as local:
        yield local.create_collection("things", embedding_function=None)


def journals(tmp_path: Path) -> list[str]:
    return sorted(path.suffix for path in (tmp_path / "db" / "loads").glob("*"))


@pytest.fixture
def half(things: Any, tmp_path: Path) -> Path:
    """Three files, of which one and a half are loaded."""
    for number in range(3):
        lines(tmp_path / f"src/{number}.jsonl", *(record(f"{number}-{n}", n) for n in range(10)))
    with open(tmp_path / "src/1.jsonl", "a") as file:
        file.write("{broken\n")
    with pytest.raises(InvalidArgumentError, match="row 10 of .*1.jsonl"):
        things.load(tmp_path / "src", batch_size=5)
    assert (things.count(), journals(tmp_path)) == (20, [".json"])
    return tmp_path / "src"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()


def test_the_rest_may_change(things: Any, half: Path, tmp_path: Path) -> None:
    """Files that were not reached yet; also new ones behind them, and the bad one's other rows may not."""
    lines(half / "2.jsonl", record("2-0", 5))
    lines(half / "3.jsonl", record("3-0", 5))
    text = (half / "1.jsonl").read_text()
    report = things.load(half, batch_size=5, rejects=tmp_path / "rejects.jsonl")
    assert (report.rows, report.added, report.rejected, report.resumed) == (23, 22, 1, 20)
    assert text and journals(tmp_path) == []


def test_what_is_done_may_not_change(things: Any, half: Path, tmp_path: Path) -> None:
    with open(half / "1.jsonl", "a") as file:
        file.write("\n")
    with pytest.raises(InvalidArgumentError, match=r"row 10 of file 2 of 3: put them back"):
        things.load(half, batch_size=5)
    assert journals(tmp_path) == [".json"]
    with pytest.raises(IDAlreadyExistsError):
        things.load(half, restart=True)
    report = things.load(half, restart=True, on_conflict="skip", rejects=tmp_path / "rejects.jsonl")
    assert (report.rows, report.added, report.skipped, report.resumed) == (32, 10, 20, 0)


def test_only_what_was_begun_may_be_stored_already(things: Any, tmp_path: Path) -> None:
    """Not what follows it in a larger part, and others have stored meanwhile."""
    path = lines(tmp_path / "src/a.jsonl", *(record(f"i{n}", n) for n in range(30)))
    with crash("wrote", 2, after=True), pytest.raises(Crash):
        things.load(path, batch_size=10)
    assert things.count() == 20
    things.add(ids=["i25"], embeddings=[[0, 0, 0, 0]])
    with pytest.raises(IDAlreadyExistsError, match="as 'i25'"):
        things.load(path, batch_size=30)
    things.delete(ids=["i25"])
    report = things.load(path, batch_size=30)
    assert (report.rows, report.added, report.resumed) == (30, 30, 20)


def test_another_load_is_another_one(things: Any, half: Path, tmp_path: Path) -> None:
    """Into another collection, in another way, or of other columns."""
    with pytest.raises(InvalidArgumentError, match="row 10"):
        things.load(half, on_conflict="upsert", batch_size=5)
    assert things.load(half / "2.jsonl").resumed == 0
    assert journals(tmp_path) == [".json", ".json"]


def test_a_damaged_journal(things: Any, half: Path, tmp_path: Path) -> None:
    (journal,) = (tmp_path / "db" / "loads").glob("*.json")
    for text, error in (
        ("", CorruptionError),
        ("[]", CorruptionError),
        ('{"format": 99}', InvalidArgumentError),
    ):
        journal.write_text(text)
        with pytest.raises(error, match="restart=True"):
            things.load(half)
    rejects = tmp_path / "rejects.jsonl"
    assert things.load(half, restart=True, on_conflict="skip", rejects=rejects).added == 10


def test_no_place_for_a_journal(things: Any, tmp_path: Path) -> None:
    path = lines(tmp_path / "src/a.jsonl", record("a"))
    (tmp_path / "db" / "loads").write_text("")
    with pytest.raises(InvalidArgumentError, match="for the journal of the load, cannot be written"):
        things.load(path)
    assert things.count() == 0


def test_check_is_content_with_journals(things: Any, half: Path, tmp_path: Path) -> None:
    from ..cli.running import run

    assert run("check", tmp_path / "db").exit_code == 0


def test_streams_go_on_by_their_name(things: Any) -> None:
    def stream(rows: int) -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, 4):
            ids = [f"s{n}" for n in range(start, start + 4)]
            yield pa.RecordBatch.from_pydict({"id": ids, "embedding": [[1.0, 2.0]] * 4})
        if rows < 40:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        things.load(stream(20), batch_size=6, job="a")
    done = things.count()
    report = things.load(stream(40), batch_size=6, job="a")
    assert (report.rows, report.added, report.resumed, things.count()) == (40, 40, done, 40)


def test_one_at_a_time(things: Any, tmp_path: Path) -> None:
    path = lines(tmp_path / "src/a.jsonl", *(record(f"i{n}", n) for n in range(20)))
    waits, go = threading.Event(), threading.Event()

    def slow(part: Any) -> Any:
        waits.set()
        go.wait(20)
        return part

    done: list[Any] = []
    worker = threading.Thread(target=lambda: done.append(things.load(path, transform=slow)))
    worker.start()
    assert waits.wait(20)
    with pytest.raises(InvalidArgumentError, match="this very load is running already"):
        things.load(path)
    other = lines(tmp_path / "src/b.jsonl", *(record(f"j{n}", n) for n in range(20)))
    assert things.load(other).added == 20
    go.set()
    worker.join(20)
    assert (done[0].added, things.count(), journals(tmp_path)) == (20, 40, [])


def test_rejects_in_another_file(things: Any, half: Path, tmp_path: Path) -> None:
    """Each has what was rejected while it was the one."""
    (tmp_path / "other.jsonl").write_text("of another load\n" * 9)
    report = things.load(half, batch_size=5, rejects=tmp_path / "other.jsonl")
    assert report.rejected == 1
    assert len((tmp_path / "other.jsonl").read_text().splitlines()) == 1


def test_the_journal_is_small(things: Any, tmp_path: Path) -> None:
    """It names the ids that were stored before, not all."""
    path = lines(tmp_path / "src/a.jsonl", *(record(f"i{n}", n) for n in range(2000)))
    things.load(path)
    sizes = []
    begin = Load.begin

    def look(self: Any, *arguments: Any) -> Any:
        found = begin(self, *arguments)
        (journal,) = (tmp_path / "db" / "loads").glob("*.json")
        sizes.append(len(journal.read_bytes()))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Load, "begin", look)
        report = things.load(path, on_conflict="upsert")
    assert (report.updated, report.added) == (2000, 0)
    assert max(sizes) < 1000


# ---------------------------------------------------------------------------- how the rows were read


def csv_file(path: Path, *cells: str) -> Path:
    path.write_text("id,embedding,n\n" + "".join(f'i{k},"[1,2]",{cell}\n' for k, cell in enumerate(cells)))
    return path


def interrupted(things: Any, path: Path, **options: Any) -> None:
    with crash("wrote", 2, after=True), pytest.raises(Crash):
        things.load(path, batch_size=10, **options)
    assert things.count() == 20


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"types": {"n": "string"}}),
        ({"types": {"n": "string"}}, {}),
        ({"types": {"n": "int64"}}, {"types": {"n": "float64"}}),
        ({}, {"format": "csv"}),
        ({}, {"encoding": "cp1252"}),
        ({}, {"transform": lambda part: part}),
    ],
)
def test_rows_of_two_readings_are_refused(things: Any, tmp_path: Path, before: Any, after: Any) -> None:
    path = csv_file(tmp_path / "a.csv", *map(str, range(40)))
    interrupted(things, path, **before)
    with pytest.raises(
        InvalidArgumentError, match="row 10 of file 1 and read the rows otherwise: .*restart=True"
    ):
        things.load(path, batch_size=10, **after)
    assert things.count() == 20
    report = things.load(path, batch_size=10, restart=True, on_conflict="upsert", **after)
    assert (report.updated, report.added, report.resumed) == (20, 20, 0)
    assert len({type(entry["n"]) for entry in things.get()["metadatas"]}) == 1
    assert journals(tmp_path) == [], "the run that was refused is forgotten"


def test_the_same_reading_goes_on(things: Any, tmp_path: Path) -> None:
    path = csv_file(tmp_path / "a.csv", *map(str, range(40)))
    interrupted(things, path, types={"n": "int64"})
    report = things.load(path, batch_size=10)
    assert (report.resumed, report.rows, report.types["n"]) == (10, 40, "int64")


def test_a_load_that_stored_nothing_may_read_otherwise(things: Any, tmp_path: Path) -> None:
    path = csv_file(tmp_path / "a.csv", "1", "2", "x")
    with pytest.raises(InvalidArgumentError, match=r"row 2 of .*types=\{'n': 'string'\}"):
        things.load(path, types={"n": "int64"})
    assert things.load(path, types={"n": "string"}).added == 3


def test_the_types_of_an_interrupted_load_are_kept(things: Any, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir(exist_ok=True)
    csv_file(tmp_path / "src" / "a.csv", *map(str, range(30)), "1.5")
    interrupted(things, tmp_path / "src")
    (tmp_path / "src" / "b.csv").write_text('id,embedding,n,m\nx,"[1,2]",3,4\n')
    report = things.load(tmp_path / "src", batch_size=10)
    assert (report.types["n"], report.types["m"]) == ("float64", "int64")
    assert things.get(ids=["x", "i1"])["metadatas"] == [{"n": 1.0}, {"n": 3.0, "m": 4}]


def test_a_new_file_may_not_change_the_types(things: Any, tmp_path: Path) -> None:
    csv_file(tmp_path / "src" / "a.csv", *map(str, range(30)))
    interrupted(things, tmp_path / "src")
    (tmp_path / "src" / "b.csv").write_text('id,embedding,n\nx,"[1,2]",007\n')
    with pytest.raises(InvalidArgumentError, match="'n' was int64, and is string.*restart"):
        things.load(tmp_path / "src", batch_size=10)
    report = things.load(tmp_path / "src", restart=True, on_conflict="upsert")
    assert {type(entry["n"]) for entry in things.get()["metadatas"]} == {str}
    assert report.added == 11
