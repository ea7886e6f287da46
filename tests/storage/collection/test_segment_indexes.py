"""Indexes of segments: built aside, loaded, carried along, dropped with their segment, never needed."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

import chroma
from chroma.storage.check import check_folder
from chroma.storage.index.segment_index import Content
from chroma.storage.manifest import Manifest
from chroma.storage.segments.segment import Segment
from tests.attack import hostile

ROWS = 1200


class Lengths:
    """A toy: the length of each document. Its twin in `toys` says which segments it was built of."""

    kind, key = "toy", "#document"

    def __init__(self, settings: str = "v1") -> None:
        self.settings, self.built, self.applied = settings, [], True  # type: ignore[var-annotated]
        self.before: Callable[[], None] = lambda: None

    def applies(self, segment: Segment) -> bool:
        return self.applied

    def build(self, segment: Segment, stopped: Callable[[], bool]) -> Content | None:
        self.before()
        if stopped():
            return None
        self.built.append(segment.name)
        return Content({"lengths": segment.sizes("document", np.arange(segment.rows))}, {"by": "toy"})

    def open(self, content: Content, segment: Segment) -> Any:
        lengths = content.arrays["lengths"]
        if lengths.shape != (segment.rows,):
            raise ValueError(f"it has {len(lengths)} lengths")
        return lengths


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Lengths:
    made = Lengths()
    monkeypatch.setattr("chroma.storage.collection.collection.Collection._index_builders", lambda _: [made])
    monkeypatch.setattr("chroma.storage.collection.record_store.BULK_ROWS", 1000)
    monkeypatch.setattr("chroma.storage.collection.collection.QUIET_SECONDS", 0.0)
    monkeypatch.setattr("chroma.storage.collection.segment_indexes.BUILD_SECONDS", 0.0)
    monkeypatch.setattr("chroma.storage.collection.segment_indexes.LOAD_SECONDS", 0.0)
    return made


def filled(client: Any, rows: int = ROWS, first: int = 0) -> Any:
    collection = client.get_or_create_collection("things", embedding_function=None)
    ids = [f"i{row}" for row in range(first, first + rows)]
    collection.add(ids=ids, documents=["x" * (row % 7) for row in range(first, first + rows)],
                   embeddings=np.ones((rows, 2), np.float32))  # fmt: skip
    return collection


def inner(collection: Any) -> Any:
    collection.count()  # opens it
    return collection._backend.engine._open[str(collection.id)]


def settled(collection: Any, errors: bool = False) -> None:
    """Wait until nothing is left to be done."""
    background = collection._backend.engine.services.background
    sweep = ("compact", "sweep")  # removes what deleted collections left, two seconds after the opening
    while busy := [each for each in [*background._waiting, *background._running] if each != sweep]:
        for kind, key in busy:
            background.wait(kind, key)
    assert errors or not background.errors


def found(collection: Any, toy: Lengths) -> list[Any]:
    """The opened indexes of the present segments."""
    return [inner(collection).indexes.get_now(view, toy) for view in inner(collection).store.snapshot().views]


def idle(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing begin in the background."""
    monkeypatch.setattr(client._backend.engine.services.background, "submit", lambda *_, **__: None)


def right(lengths: Any, rows: int = ROWS) -> bool:
    return bool(np.array_equal(lengths, np.arange(rows) % 7))


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("index-*.idx"))


def test_an_index_is_built_in_the_background_after_a_load(tmp_path: Path, toy: Lengths) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = filled(client)
        settled(collection)
        assert len(toy.built) == 1 and len(files(tmp_path)) == 1
        (opened,) = found(collection, toy)
        assert right(opened)
    with chroma.PersistentClient(tmp_path) as client:  # read again, and not built again
        collection = client.get_collection("things", embedding_function=None)
        store = inner(collection)
        (view,) = store.store.snapshot().views
        assert store.indexes.get(view, toy) is None  # starts the load
        settled(collection)
        assert right(store.indexes.get(view, toy)) and len(toy.built) == 1


def test_an_index_can_be_built_now(tmp_path: Path, toy: Lengths, monkeypatch: pytest.MonkeyPatch) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        idle(client, monkeypatch)
        collection = filled(client)
        assert found(collection, toy) == [None]
        collection.compact()
        assert right(found(collection, toy)[0])


def test_a_read_that_finds_none_starts_the_build(
    tmp_path: Path, toy: Lengths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chroma.storage.collection.collection.Collection._index_builders", lambda _: [])
    with chroma.PersistentClient(tmp_path) as client:
        collection = filled(client)
        collection.compact()
        settled(collection)
        assert toy.built == [] and found(collection, toy) == [None]
        settled(collection)
        assert right(found(collection, toy)[0])


def test_a_memtable_and_a_segment_that_only_a_log_names_have_none(
    tmp_path: Path, toy: Lengths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        idle(client, monkeypatch)
        collection = filled(client)
        filled(client, 5, ROWS)
        assert found(collection, toy) == [None, None]
        assert inner(collection).indexes.build() and files(tmp_path) == []


def test_tombstones_leave_it_in_place_and_a_merge_drops_it(tmp_path: Path, toy: Lengths) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = filled(client)
        collection.compact()
        (before,) = files(tmp_path)
        collection.delete(ids=["i3", "i4"])
        from chroma.storage.collection import compaction

        compaction.compact(inner(collection).store, everything=False)
        settled(collection)
        assert files(tmp_path) == [before] and list(tmp_path.rglob("deleted-*"))
        assert right(found(collection, toy)[0])
        collection.compact()  # rewrites the segment without them
        (after,) = files(tmp_path)
        assert after.parent != before.parent and len(found(collection, toy)[0]) == ROWS - 2
        assert len(inner(collection).indexes._opened) == 1


def test_other_settings_build_another_index(tmp_path: Path, toy: Lengths) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = filled(client)
        collection.compact()
        (before,) = files(tmp_path)
        toy.settings = "v2"
        assert found(collection, toy) == [None]
        settled(collection)
        (after,) = files(tmp_path)
        assert after.name != before.name and right(found(collection, toy)[0])


def test_a_segment_to_which_the_kind_does_not_apply_gets_none(tmp_path: Path, toy: Lengths) -> None:
    toy.applied = False
    with chroma.PersistentClient(tmp_path) as client:
        collection = filled(client)
        collection.compact()
        assert found(collection, toy) == [None] and files(tmp_path) == []


def test_two_kinds_and_keys_are_kept_apart(tmp_path: Path, toy: Lengths) -> None:
    other = Lengths("v9")
    other.key = "another"  # type: ignore[misc]
    with chroma.PersistentClient(tmp_path) as client:
        collection = filled(client)
        collection.compact()
        assert found(collection, other) == [None]
        settled(collection)
        assert right(found(collection, other)[0]) and right(found(collection, toy)[0])
        (ref,) = Manifest.load(inner(collection).store.folder).segments
        assert [(each.kind, each.key, each.settings) for each in ref.indexes] == [
            ("toy", "#document", "v1"), ("toy", "another", "v9")
        ]  # fmt: skip


@pytest.mark.parametrize("forged", [False, True], ids=["damaged", "forged"])
def test_a_bad_file_is_said_by_check_and_built_anew(tmp_path: Path, toy: Lengths, forged: bool) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        filled(client).compact()
    (path,) = files(tmp_path)
    data = bytearray(path.read_bytes())
    data[200 if forged else -1] ^= 1
    path.write_bytes(data.replace(b'"rows":1200', b'"rows":1300') if forged else data)
    if forged:
        hostile.refresh(path.parent.parent)  # the checksums are right
    else:
        (finding,) = [each for each in check_folder(str(tmp_path)).findings if each.severity != "ok"]
        assert finding.path == str(path) and finding.severity == "damaged"
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        assert found(collection, toy) == [None]
        settled(collection)
        assert right(found(collection, toy)[0])
    assert len(files(tmp_path)) == 1 and files(tmp_path) != [path]
    assert check_folder(str(tmp_path)).ok


@pytest.mark.parametrize("how", ["damaged", "missing"])
def test_a_repair_drops_it(tmp_path: Path, toy: Lengths, how: str) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        filled(client).compact()
    (path,) = files(tmp_path)
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(bytes(path.stat().st_size))
    report = check_folder(str(tmp_path), repair=True)
    assert report.ok and any("built anew" in each.message for each in report.findings)
    assert files(tmp_path / "collections") == []
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        assert collection.count() == ROWS and found(collection, toy) == [None]
        settled(collection)
        assert right(found(collection, toy)[0])


def test_a_build_that_fails_is_not_tried_again_by_reads(
    tmp_path: Path, toy: Lengths, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ValueError("no lengths")

    toy.before = fails
    with chroma.PersistentClient(tmp_path) as client:
        collection = filled(client)
        background = client._backend.engine.services.background
        background.wait("compact", str(collection.id))
        background.wait("segment-index", str(collection.id))
        assert "no lengths" in caplog.text
        toy.before = lambda: None
        assert found(collection, toy) == [None]
        settled(collection, errors=True)
        assert files(tmp_path) == [] and collection.count() == ROWS
        collection.compact()  # tries again
        assert right(found(collection, toy)[0])


def test_closing_stops_a_build(tmp_path: Path, toy: Lengths) -> None:
    begun, go = threading.Event(), threading.Event()

    def waits() -> None:
        begun.set()
        go.wait(10)

    toy.before = waits
    client = chroma.PersistentClient(tmp_path)
    collection = filled(client)
    assert begun.wait(10)
    threading.Timer(0.05, go.set).start()
    client.close()
    assert toy.built == [] and files(tmp_path) == []
    with chroma.PersistentClient(tmp_path) as client:  # and it is built at the next opening
        collection = client.get_collection("things", embedding_function=None)
        collection.count()
        settled(collection)
        assert right(found(collection, toy)[0])


def test_a_segment_that_is_merged_during_its_build_leaves_no_file(
    tmp_path: Path, toy: Lengths, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        idle(client, monkeypatch)
        collection = filled(client)
        from chroma.storage.collection import compaction

        store = inner(collection).store
        compaction.compact(store, everything=False)
        collection.delete(ids=["i5"])

        def merged() -> None:
            toy.before = lambda: None
            compaction.compact(store, everything=True)

        toy.before = merged
        assert inner(collection).indexes.build()
        assert len(set(toy.built)) == 2 and len(files(tmp_path)) == 1
        assert len(found(collection, toy)[0]) == ROWS - 1


def test_backups_copies_and_forks_carry_it(tmp_path: Path, toy: Lengths) -> None:
    with chroma.PersistentClient(tmp_path / "a") as client:
        collection = filled(client)
        collection.compact()
        client.backup(tmp_path / "backup")
        client.backup(tmp_path / "backup")
        fork = collection.fork("fork")
        assert right(found(fork, toy)[0])
        assert len(files(tmp_path / "a")) == 2 and len(toy.built) == 1
    chroma.restore(tmp_path / "backup", tmp_path / "b")
    shutil.copytree(tmp_path / "b", tmp_path / "c")
    for place in ("b", "c"):
        with chroma.PersistentClient(tmp_path / place) as client:
            assert right(found(client.get_collection("things", embedding_function=None), toy)[0])
    assert len(toy.built) == 1
    report = check_folder(str(tmp_path / "backup"))
    assert report.ok and sum("index-" in each.path for each in report.findings) == 1


def test_a_backup_only_loads(tmp_path: Path, toy: Lengths) -> None:
    with chroma.PersistentClient(tmp_path / "a") as client:
        collection = filled(client)
        collection.compact()
        client.backup(tmp_path / "backup")
    with chroma.PersistentClient(tmp_path / "backup") as client:
        collection = client.get_collection("things", embedding_function=None)
        assert right(found(collection, toy)[0])
        toy.settings = "v2"
        assert found(collection, toy) == [None]
        settled(collection)
        assert len(toy.built) == 1


def test_older_manifests_have_none_and_newer_kinds_are_kept(tmp_path: Path, toy: Lengths) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        filled(client).compact()
    (home,) = (tmp_path / "collections").iterdir()
    state = orjson.loads((home / "manifest.json").read_bytes())["state"]
    kept = state["segments"][0].pop("indexes")
    hostile.seal(home / "manifest.json", state)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        assert found(collection, toy) == [None]
        settled(collection)
        assert right(found(collection, toy)[0])
    state["segments"][0]["indexes"] = [{**kept[0], "kind": "of a later program"}]
    assert len(files(tmp_path)) == 2  # the next compaction removes the one that nothing named
    hostile.seal(home / "manifest.json", state)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        inner(collection).check_upkeep()
        settled(collection)
        assert right(found(collection, toy)[0]) and len(files(tmp_path)) == 3
        (ref,) = Manifest.load(inner(collection).store.folder).segments
        assert sorted(each.kind for each in ref.indexes) == ["of a later program", "toy"]


def test_databases_in_memory_have_indexes(toy: Lengths) -> None:
    client = chroma.EphemeralClient(private=True)
    collection = filled(client)
    collection.compact()
    assert right(found(collection, toy)[0])
    fork = collection.fork("fork")
    assert right(found(fork, toy)[0]) and len(toy.built) == 1


WRONG: list[Any] = [
    None, 7, {}, "x", [7], [{}], [{"kind": 7}],
    *([{"kind": "toy", "key": "k", "settings": "", "file": file}] for file in (
        None, {}, {"name": "index-0123456789ab.idx", "bytes": 0, "xxh3": ""},
        {"name": "index-0123456789ab.idx", "bytes": -1, "xxh3": "0" * 16},
        {"name": "graph-0123456789ab.hnsw", "bytes": 1, "xxh3": "0" * 16},
        {"name": "index-0123456789ab.idx", "bytes": 1, "xxh3": "0" * 15},
    )),
    2 * [{"kind": "toy", "key": "k", "settings": "",
          "file": {"name": "index-0123456789ab.idx", "bytes": 1, "xxh3": "0" * 16}}],
    [{"kind": "toy", "key": key, "settings": "",
      "file": {"name": "index-0123456789ab.idx", "bytes": 1, "xxh3": "0" * 16}} for key in "ab"],
]  # fmt: skip


def test_a_manifest_that_lies_about_them_is_refused(tmp_path: Path, toy: Lengths) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        store = inner(filled(client)).store
        client._backend.engine.services.background.close()
        from chroma.storage.collection import compaction

        compaction.compact(store, everything=True)
        folder = store.folder
    state = orjson.loads((Path(folder.path) / "manifest.json").read_bytes())["state"]
    for wrong in WRONG:
        state["segments"][0]["indexes"] = wrong
        hostile.seal(Path(folder.path) / "manifest.json", state)
        with pytest.raises(chroma.storage.interface.errors.Corruption, match="indexes"):
            Manifest.load(folder)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_reader_may_be_late(
    tmp_path: Path, toy: Lengths, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its snapshot has a segment that was merged away, with its index, before the index was opened."""
    client = chroma.PersistentClient(tmp_path) if kind == "disk" else chroma.EphemeralClient()
    with client:
        collection = filled(client)
        collection.compact()
        idle(client, monkeypatch)
        store = inner(collection)
        (view,) = store.store.snapshot().views
        store.indexes._opened.clear()
        filled(client, 5, first=ROWS)
        collection.compact()
        assert store.indexes.get_now(view, toy) is None
        assert right(found(collection, toy)[0], ROWS + 5)
