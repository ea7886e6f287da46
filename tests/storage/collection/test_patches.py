"""Updates without vectors: rows, vectors and graphs stay, and new values are stored as all others are."""

from __future__ import annotations

import itertools
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.embedded.backend import check_folder
from chroma.errors import CorruptionError
from chroma.storage.collection import compaction, index_builds, record_store, upsert
from chroma.storage.collection.live_state import State
from chroma.storage.filters import document_index
from chroma.storage.filters.parser import EVERYTHING
from chroma.storage.interface.values import Records
from chroma.storage.manifest import NAME, Manifest
from chroma.storage.scheduler import Scheduler
from chroma.storage.segments.patched_segment import PatchedSegment
from chroma.storage.wal import log as logs
from chroma.storage.wal.frames import decode_patched
from chroma.storage.wal.log import Log

from ..shared import ROWS, fill, flush, held


@pytest.fixture(autouse=True)
def nothing_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scheduler, "submit", lambda *args, **kwargs: None)
    monkeypatch.setattr(index_builds, "INDEX_BYTES", 1)
    monkeypatch.setattr(document_index, "LEAST_BYTES", 1)


def files(made: Any) -> dict[str, tuple[int, int]]:
    """The files of the segments: inode and size by name."""
    home = Path(held(made).store.folder.path)
    found = {path.name: path.stat() for path in home.glob("seg-*/*")}
    return {name: (stat.st_ino, stat.st_size) for name, stat in found.items()}


def of_vectors(found: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {n: file for n, file in found.items() if n.startswith(("vectors", "ids", "graph"))}


def plans(made: Any) -> list[tuple[bool, int, list[str]]]:
    """Of each part: whether it has a graph, its records, and the plans of a query."""
    found = made.query(query_embeddings=[np.ones(8)], n_results=3, explain=True)["explain"]
    return [(part.indexed, part.records, [run.plan["name"] for run in part.runs]) for part in found.parts]


@pytest.mark.parametrize("changed", [5, ROWS])
def test_vectors_and_the_graph_stay(made: Any, changed: int) -> None:
    before, way = files(made), plans(made)
    assert way[0][0] and way[0][1] == ROWS
    ids = [f"r{i}" for i in range(changed)]
    assert made.update(ids=ids, metadatas=[{"kind": "new"}] * changed) is not None
    for step in (lambda: None, lambda: flush(made), made.compact):
        step()
        assert plans(made) == way
        assert of_vectors(files(made)) == of_vectors(before)
        assert made.count(where={"kind": "new"}) == changed
        status = held(made).index_status()
        assert (status.indexed, status.total) == (ROWS, ROWS)
    assert sum(size for _, size in files(made).values()) < 1.05 * sum(size for _, size in before.values())


def test_the_log_has_the_new_values_only(made: Any) -> None:
    log = held(made).store.snapshot().frames, held(made).store._state.log.offset
    made.update(ids=["r1", "r2"], metadatas=[{"kind": "new"}, {"n": None}])
    store = held(made).store
    assert store.snapshot().frames == log[0] + 1
    assert store._state.log.offset - log[1] < 200  # each record has 32 bytes of vector and 64 of document
    [view] = store.snapshot().views
    assert isinstance(view.source, PatchedSegment) and view.deleted_rows == 0


def test_an_update_that_changes_nothing_writes_nothing(made: Any) -> None:
    offset = held(made).store._state.log.offset
    made.update(ids=["r1", "r2", "r3"], metadatas=[None, None, None])
    assert held(made).store._state.log.offset == offset


def test_few_new_values_get_a_file_and_many_new_columns(made: Any) -> None:
    few = int(compaction.PATCHED_SHARE * ROWS)
    made.update(ids=[f"r{i}" for i in range(few)], metadatas=[{"kind": "new"}] * few)
    flush(made)
    names = set(files(made))
    assert sum(name.startswith("values-") for name in names) == 1
    assert "records.arrow" in names
    [view] = held(made).store.snapshot().views
    assert view.source.overlay.unsaved == 0
    flush(made)
    assert set(files(made)) == names  # it is not written again
    made.update(ids=["r150"], metadatas=[{"kind": "new"}])
    flush(made)
    names = set(files(made))
    assert not any(name.startswith("values-") for name in names)
    assert "records.arrow" not in names
    assert "vectors.arrow" in names
    [view] = held(made).store.snapshot().views
    assert not isinstance(view.source, PatchedSegment)
    assert made.get(where={"kind": "new"})["ids"] == [f"r{i}" for i in [*range(few), 150]]


def test_large_new_values_get_new_columns(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """New values in a file of their own are also in the memory of each process."""
    monkeypatch.setattr(compaction, "PATCHED_BYTES", 1000)
    made.update(ids=["r1"], metadatas=[{"text": "x" * 900}])
    flush(made)
    assert any(name.startswith("values-") for name in files(made))
    made.update(ids=["r2"], metadatas=[{"text": "y" * 900}])
    flush(made)
    assert not any(name.startswith("values-") for name in files(made))
    assert [each["text"][0] for each in made.get(ids=["r1", "r2"])["metadatas"]] == ["x", "y"]


def test_vectors_are_not_checked_again(made: Any) -> None:
    made.query(query_embeddings=[[1.0] * 8], n_results=1, exact=True)
    made.update(ids=[f"r{i}" for i in range(100)], metadatas=[{"kind": "new"}] * 100)
    [before] = held(made).store.snapshot().views
    made.compact()
    [after] = held(made).store.snapshot().views
    assert after.source is not before.source.base
    assert after.source.content != before.source.content
    assert after.source.vectors is before.source.vectors
    assert after.source.texts("id", np.array([3])) == ["r3"]


def test_compact_removes_the_old_values(made: Any) -> None:
    made.update(ids=["r7"], metadatas=[{"secret": "before"}])
    flush(made)
    made.update(ids=["r7"], metadatas=[{"secret": None}])
    made.compact()
    home = Path(held(made).store.folder.path)
    assert not [path for path in home.rglob("*") if path.is_file() and b"before" in path.read_bytes()]


def test_one_frame_has_patches_and_rows(made: Any) -> None:
    made.add(ids=["late"], embeddings=[[1.0] * 8])
    made.update(ids=["late", "r3"], metadatas=[{"n": "a"}, {"n": "b"}])
    *_, last = frames(made)
    patched = decode_patched("log", last.payload)
    assert (last.kind, patched.kind, len(patched.patch.at)) == (logs.PATCH, logs.ROWS, 1)


def test_one_frame_has_patches_and_a_segment(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(made, ROWS, ROWS + 20)
    monkeypatch.setattr(record_store, "BULK_ROWS", 20)
    ids = [f"r{i}" for i in range(ROWS - 10, ROWS + 20)]
    made.update(ids=ids, metadatas=[{"kind": "new"}] * 30)
    *_, last = frames(made)
    patched = decode_patched("log", last.payload)
    assert (last.kind, patched.kind, len(patched.patch.at)) == (logs.PATCH, logs.SEGMENT, 10)
    assert made.get(where={"kind": "new"})["ids"] == ids
    made.update(ids=ids, metadatas=[{"kind": "newer"}] * 30)  # the segment is only in the log
    assert reopened(made).get(where={"kind": "newer"})["ids"] == ids
    flush(made)
    assert made.get(where={"kind": "newer"})["ids"] == ids


def frames(made: Any) -> list[Any]:
    store = held(made).store
    log = Log.open(store.folder, store._state.log.path.rsplit("/", 1)[-1])
    found = list(log.read_new())
    log.close()
    return found


def reopened(made: Any) -> Any:
    """The collection as another process sees it."""
    store = held(made).store
    state = State(store.folder, manifest := Manifest.load(store.folder), Log.open(store.folder, manifest.log))
    state.follow()
    return Reader(made, state)


class Reader:
    """Reads the records of a state."""

    def __init__(self, made: Any, state: State) -> None:
        self._store, self.state = held(made).store, state

    def get(self, where: Any = None) -> dict[str, Any]:
        rows: dict[str, Any] = {}
        for view in self.state.snapshot().views:
            live = view.live_rows()
            for id, position, metadata, document in zip(
                view.source.texts("id", live),
                view.positions[live].tolist(),
                view.source.mappings(live),
                view.source.texts("document", live),
                strict=True,
            ):
                if where is None or all((metadata or {}).get(key) == value for key, value in where.items()):
                    rows[str(id)] = position, metadata, document
        return {"ids": sorted(rows, key=lambda id: rows[id][0]), "rows": rows}


def test_a_reader_follows(made: Any) -> None:
    reader = reopened(made)
    made.update(ids=["r1"], metadatas=[{"kind": "new"}])
    reader.state.follow()
    assert reader.get({"kind": "new"})["ids"] == ["r1"]
    before = reader.state.snapshot()
    flush(made)
    made.update(ids=["r1", "r2"], metadatas=[{"kind": "newer"}] * 2)
    reader.state.follow()
    assert reader.state.adopt(Manifest.load(held(made).store.folder))
    assert reader.get({"kind": "newer"})["ids"] == ["r1", "r2"]
    [view] = before.views  # a snapshot never changes
    assert [each["kind"] for each in view.source.mappings(np.array([0, 1, 2]))] == ["old", "new", "old"]


def test_a_reader_that_lags_behind_a_compaction_follows(made: Any) -> None:
    """To the writer the record is in a segment; the reader has it in a memtable still."""
    fill(made, ROWS, ROWS + 150)
    reader = reopened(made)
    made.compact()
    made.update(ids=["r1", f"r{ROWS + 1}"], metadatas=[{"kind": "new"}] * 2)
    made.update(ids=[f"r{ROWS + 1}"], metadatas=[{"n": None}])
    reader.state.follow()
    assert reader.get({"kind": "new"})["ids"] == ["r1", f"r{ROWS + 1}"]
    assert reader.get()["rows"][f"r{ROWS + 1}"][1] == {"kind": "new"}
    assert len(reader.get()["ids"]) == ROWS + 150
    assert reader.get() == reopened(made).get()
    # What it has in its memtable is in a segment of the manifest, which later manifests have, too.
    assert not reader.state.adopt(Manifest.load(held(made).store.folder))


def test_another_process_lags_behind_and_loses_nothing(made: Any) -> None:
    store = held(made).store
    other = record_store.RecordStore(store.folder, store.id, store.services, held(made))
    late = [f"r{i}" for i in range(ROWS, ROWS + 150)]
    for step in range(4):
        if not step:
            fill(made, ROWS, ROWS + 150)
        assert other.snapshot().live == ROWS + 150
        other._look_again = math.inf  # it looks at no manifest for a while
        flush(made)
        made.update(ids=[late[step], "r1"], metadatas=[{"step": step}] * 2)
        assert other.snapshot().live == ROWS + 150
        other._look_again = 0.0
        assert other.snapshot().live == ROWS + 150
        flush(made)
        assert other.refresh().live == ROWS + 150
        found = other.select(["r1", late[step]], EVERYTHING)[1]
        assert all(entry["step"] == step for run in found for entry in run.view.source.mappings(run.rows))


def test_a_patch_that_is_too_large_is_written_as_rows(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upsert, "PATCH_BYTES", 10)
    made.update(ids=["r1"], metadatas=[{"kind": "long enough"}])
    assert frames(made)[-1].kind == logs.ROWS
    assert made.get(where={"kind": "long enough"})["ids"] == ["r1"]


def test_indexes_of_documents_stay_unless_documents_change(made: Any) -> None:
    made.query(query_texts=["number"], mode="lexical")
    made.compact()
    indexes = {name: file for name, file in files(made).items() if name.startswith("index-")}
    assert indexes
    made.update(ids=[f"r{i}" for i in range(100)], metadatas=[{"kind": "new"}] * 100)
    made.compact()
    assert {name: file for name, file in files(made).items() if name.startswith("index-")} == indexes
    assert made.count(where_document={"$contains": "number 7 "}) == 1
    held(made).write("update", Records(["r3", "r4"], documents=["unheard", "of"]))
    assert made.get(where_document={"$contains": "unheard"})["ids"] == ["r3"]
    assert made.query(query_texts=["unheard"], mode="lexical")["ids"] == [["r3"]]
    made.compact()
    assert not indexes.keys() & files(made).keys()
    assert made.get(where_document={"$contains": "unheard"})["ids"] == ["r3"]
    assert made.query(query_texts=["unheard"], mode="lexical")["ids"] == [["r3"]]


def test_an_index_of_old_values_is_not_published(made: Any) -> None:
    collection = held(made)
    [view] = collection.store.snapshot().views
    content = collection._documents.build(view.source, lambda: False)
    before = set(files(made))
    held(made).write("update", Records([f"r{i}" for i in range(100)], documents=["new"] * 100))
    flush(made)
    collection.indexes._publish(view.source, collection._documents, content)
    assert not [n for n in set(files(made)) - before if n.startswith("index-")]
    assert made.count(where_document={"$contains": "new"}) == 100


def test_an_old_snapshot_keeps_its_values_and_indexes(made: Any) -> None:
    """While another thread reads a snapshot, values are rewritten and documents get another index."""
    collection = held(made)
    collection.indexes.build()
    old = collection.store.snapshot()
    collection.write("update", Records([f"r{i}" for i in range(100)], documents=["unheard"] * 100))
    made.compact()
    collection.indexes.build()
    assert made.count(where_document={"$contains": "unheard"}) == 100
    [view], [new] = old.views, collection.store.snapshot().views
    assert collection.ngrams(view) is None
    assert collection.ngrams(new) is not None
    assert view.source.texts("document", np.array([5]))[0].startswith("text number 5")


def test_backups_have_the_new_values(client: Any, made: Any, tmp_path: Path) -> None:
    made.update(ids=["r1"], metadatas=[{"kind": "file"}])
    flush(made)
    made.update(ids=["r2"], metadatas=[{"kind": "log"}])
    for name, link in itertools.product(("one", "two"), (False, True)):
        path = tmp_path / f"{name}-{link}"
        client.backup(path, link=link)
        if name == "one":
            continue
        made.update(ids=[f"r{i}" for i in range(3, 100)], metadatas=[{"kind": "rewritten"}] * 97)
        made.compact()
        client.backup(path, link=link)
    for path, rewritten in (("one-False", 0), ("one-True", 0), ("two-False", 97), ("two-True", 97)):
        assert check_folder(str(tmp_path / path)).ok
        with chroma.PersistentClient(tmp_path / path) as backup:
            copy = backup.get_collection("things")
            assert copy.get(where={"kind": "file"})["ids"] == ["r1"]
            assert copy.get(where={"kind": "log"})["ids"] == ["r2"]
            assert copy.count(where={"kind": "rewritten"}) == rewritten


def test_forks_and_snapshots_are_independent(made: Any) -> None:
    made.update(ids=["r1"], metadatas=[{"kind": "before"}])
    fork = made.fork("fork")
    made.snapshot("then")
    made.update(ids=[f"r{i}" for i in range(100)], metadatas=[{"kind": "after"}] * 100)
    fork.update(ids=["r2"], metadatas=[{"kind": "fork"}])
    for step in (lambda: None, made.compact, fork.compact):
        step()
        assert made.count(where={"kind": "after"}) == 100
        assert fork.get(where={"kind": {"$ne": "old"}})["ids"] == ["r1", "r2"]
        assert made.at("then").get(where={"kind": {"$ne": "old"}})["ids"] == ["r1"]
    home = Path(held(made).store.folder.path)
    [vectors] = home.rglob("vectors.arrow")
    made.restore("then")
    assert made.get(where={"kind": {"$ne": "old"}})["ids"] == ["r1"]
    assert made.get()["ids"] == [f"r{i}" for i in range(ROWS)]
    assert vectors in home.rglob("vectors.arrow")


def test_a_damaged_values_file_is_an_error_and_is_repaired(made: Any, client: Any, tmp_path: Path) -> None:
    made.update(ids=["r1", "r2"], metadatas=[{"kind": "new"}] * 2)
    flush(made)
    client.close()
    [file] = (tmp_path / "db").rglob("values-*")
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CorruptionError, match=file.name):
        with chroma.PersistentClient(tmp_path / "db") as other:
            other.get_collection("things").count()
    report = check_folder(str(tmp_path / "db"))
    assert not report.ok
    assert file.name in str([finding for finding in report.findings if finding.severity == "damaged"])
    check_folder(str(tmp_path / "db"), repair=True)
    assert check_folder(str(tmp_path / "db")).ok
    with chroma.PersistentClient(tmp_path / "db") as other:
        assert other.get_collection("things").count(where={"kind": "old"}) == ROWS


def test_a_check_reads_patches_in_logs(made: Any, client: Any, tmp_path: Path) -> None:
    made.update(ids=["r1"], metadatas=[{"kind": "new"}])
    fill(made, ROWS, ROWS + 3)
    made.update(ids=["r2", f"r{ROWS}"], metadatas=[{"kind": "new"}] * 2)
    client.close()
    assert check_folder(str(tmp_path / "db")).ok


def test_deletes_and_patches_of_one_record_keep_their_order(made: Any) -> None:
    made.update(ids=["r1"], metadatas=[{"kind": "new"}])
    made.update(ids=["r1"], embeddings=[[0.5] * 8])
    made.update(ids=["r1"], metadatas=[{"n": -1}])
    made.delete(ids=["r2"])
    made.add(ids=["r2"], embeddings=[[0.25] * 8], metadatas=[{"kind": "again"}])
    for step in (lambda: None, lambda: flush(made), made.compact):
        step()
        assert made.get(ids=["r1"])["metadatas"] == [{"n": -1, "kind": "new"}]
        assert made.get()["ids"] == ["r0", "r1", *(f"r{i}" for i in range(3, ROWS)), "r2"]
        assert reopened(made).get()["ids"] == made.get()["ids"]


def test_many_patches_of_few_rows_are_made_few_again(made: Any) -> None:
    for number in range(30):
        made.update(ids=["r1", "r2"], metadatas=[{"n": 1000 + number}] * 2)
    [view] = held(made).store.snapshot().views
    assert view.source.overlay.table.rows == 60
    flush(made)
    [view] = held(made).store.snapshot().views
    assert (view.source.overlay.table.rows, view.source.overlay.unsaved) == (2, 0)
    table = view.source.overlay.table
    made.update(ids=["r3", "r4"], metadatas=[{"n": -1}] * 2)
    flush(made)
    [view] = held(made).store.snapshot().views
    assert view.source.overlay.table is table  # what filters know of it is kept
    assert view.source.overlay.unsaved == 0
    assert made.get(where={"n": -1})["ids"] == ["r3", "r4"]
    assert reopened(made).get({"n": 1029})["ids"] == ["r1", "r2"]


def test_patches_count_for_the_next_compaction(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FLUSH_ROWS", 4)
    made.update(ids=["r1", "r2", "r3"], metadatas=[{"n": 0}] * 3)
    assert not compaction.due(held(made).store.snapshot())
    made.update(ids=["r3"], metadatas=[{"n": 1}])
    assert compaction.due(held(made).store.snapshot())
    flush(made)
    assert not compaction.due(held(made).store.snapshot())


def test_a_pause_is_used_for_many_new_values(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those in logs are read one by one when the collection is opened, and their columns may be due."""
    monkeypatch.setattr(compaction, "UNSAVED", 20)
    monkeypatch.setattr(compaction, "FEW_UNSAVED", 5)
    useful = lambda: compaction.useful(held(made).store.snapshot())  # noqa: E731
    for number in range(19):
        made.update(ids=[f"r{number}"], metadatas=[{"n": -1}])
    assert not useful()
    made.update(ids=["r3"], metadatas=[{"n": -2}])
    assert useful()
    flush(made)
    assert any(name.startswith("values-") for name in files(made)) and not useful()
    made.update(ids=[f"r{i}" for i in range(19, 42)][:4], metadatas=[{"n": -1}] * 4)
    assert not useful()
    monkeypatch.setattr(compaction, "UNSAVED", 1000)
    made.update(
        ids=[f"r{i}" for i in range(23, 42)], metadatas=[{"n": -1}] * 19
    )  # more than a fifth of the rows
    assert useful()
    flush(made)
    assert not any(name.startswith("values-") for name in files(made)) and not useful()
    made.update(ids=["r1", "r2"], metadatas=[{"n": -1}] * 2)
    assert not useful()


def test_writers_wait_for_large_patches_only(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "FLUSH_ROWS", 4)
    made.update(ids=[f"r{i}" for i in range(ROWS)], metadatas=[{"n": 0}] * ROWS)
    snapshot = held(made).store.snapshot()
    assert compaction.due(snapshot)
    assert not compaction.outrun(snapshot)
    monkeypatch.setattr(compaction, "FLUSH_BYTES", 100)
    assert compaction.outrun(snapshot)


def test_names_of_old_values_are_given_up(made: Any) -> None:
    for number in range(3):
        made.update(ids=[f"r{i}" for i in range(100)], metadatas=[{"kind": f"kind {number}"}] * 100)
        flush(made)
        made.update(ids=["r1"], metadatas=[{"kind": "new"}])
        flush(made)
    home = Path(held(made).store.folder.path)
    [ref] = Manifest.load(held(made).store.folder, NAME).segments
    assert {path.name for path in home.glob("seg-*/*")} == {file.name for file in ref.all_files()}
    assert os.path.exists(home / ref.name / "vectors.arrow")
