"""The steps of an add: of ten thousand rows, which become a segment, and of one, which goes to the log."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import data
import numpy as np
import orjson
import xxhash

import chroma
from chroma.storage.collection import record_store as engine
from chroma.storage.collection import upsert
from chroma.storage.collection.group_commit import Call
from chroma.storage.io.disk import DiskFolder
from chroma.storage.segments import segment
from chroma.storage.wal import log
from chroma.storage.wal.frames import Commit, encode_segment
from chroma.validation import write_batch as reading

from .steps import Case, Step, measure

ROWS = 10_000
ADDS = 20  # of ten thousand rows, each into a collection of its own
_COSINE = {"hnsw": {"space": "cosine"}}


class _Place:
    """A folder with a client, whose collections hold some rows already."""

    def __init__(self, folder: str, rows: data.Rows) -> None:
        self.folder, self.rows = folder, rows
        self.client = chroma.PersistentClient(f"{folder}/db")
        self.scratch = DiskFolder(f"{folder}/scratch")
        self.scratch.create()
        self.made = 0

    def collection(self) -> Any:
        """One with the last ten thousand rows in it."""
        self.made += 1
        made = self.client.create_collection(
            f"collection-{self.made}", embedding_function=None, configuration=_COSINE
        )
        _add(made, self.rows.part(len(self.rows) - ROWS, len(self.rows)))
        return made

    def drop(self, case: Case) -> None:
        self.client.delete_collection(case.collection.name)
        for name in os.listdir(self.scratch.path):
            shutil.rmtree(f"{self.scratch.path}/{name}")


def _add(collection: Any, rows: data.Rows) -> None:
    collection.add(ids=rows.ids, embeddings=rows.vectors, documents=rows.documents, metadatas=rows.metadatas)


def _checked(case: Case) -> Any:
    rows = case.rows
    batch = reading.read_batch(
        "add", rows.ids, embeddings=rows.vectors, metadatas=rows.metadatas, documents=rows.documents
    )
    return batch.records(batch.embeddings)


def _held(case: Case) -> Any:
    """The open collection, and the lock of writers."""
    collection = case.collection
    held = collection._backend._open(collection._ref)
    case.locks = ExitStack()
    case.locks.enter_context(held.store.writing())
    return held.store


def _state(case: Case) -> Any:
    """The present, with the lock of readers, which stays held while `case.reading` is open."""
    case.reading = ExitStack()
    return case.reading.enter_context(case.held.changing())


def _located(case: Case) -> Any:
    case.state = _state(case)
    snapshot = case.state.snapshot()
    located = upsert.Located(snapshot, *snapshot.locate(case.records.ids))
    case.reading.close()
    return located


def _appended(case: Case) -> Any:
    ref = case.ref
    case.held.folder.sync()
    opened = segment.Segment(case.held.folder, ref)
    state = _state(case)
    deletes = case.resolved.deletes
    state.before_append()
    state.log.append(log.SEGMENT, encode_segment(deletes, ref))
    state.apply_segment(deletes, ref, opened)
    state.snapshot()
    case.reading.close()
    case.locks.close()
    return state.log, state.log.offset


def _synced(case: Case) -> None:
    case.held._sync(*case.appended)
    case.held._owner.after_sync()


def _told(case: Case) -> None:
    case.held._owner.after_commit()


def _count(answer: Any, case: Case) -> bool:
    """Both collections hold all there was to hold: the call's is checked by what it wrote."""
    return bool(answer is None and case.collection.count() == ROWS + len(case.rows))


def batch(folder: str, rows: data.Rows) -> tuple[str, list[str]]:
    """The table of an add of ten thousand rows."""
    place = _Place(folder, rows)
    parts = len(rows) // ROWS - 1
    if parts < 1:
        raise AssertionError(f"an add of {ROWS:,} rows needs {2 * ROWS:,}, the data has {len(rows):,}")
    cases: list[Callable[[], Case]] = [
        lambda at=at: Case(  # type: ignore[misc]
            collection=place.collection(), rows=rows.part(at % parts * ROWS, at % parts * ROWS + ROWS)
        )
        for at in range(ADDS)
    ]

    def anew(case: Case) -> Any:
        """The rows again, with nothing computed yet."""
        return upsert.resolve("add", case.records, case.located).rows

    def filed(names: tuple[str, ...]) -> Callable[[Case], Any]:
        def write_again(case: Case) -> None:
            home = case.held.folder.child(case.ref.name)
            for name in names:
                content = home.read(name)
                with place.scratch.write_file(f"again-{name}") as sink:
                    sink.write(content)
            for name in names:
                place.scratch.remove(f"again-{name}")

        return write_again

    def content(case: Case) -> list[bytes]:
        home = Path(case.held.folder.path) / case.ref.name
        return [file.read_bytes() for file in home.iterdir()]

    def one_file(case: Case) -> None:
        fd = os.open(f"{folder}/floor", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for part in case.content:
            os.write(fd, part)
        os.fdatasync(fd)
        os.close(fd)

    target = np.empty_like(rows.vectors[:ROWS])

    def copied_and_hashed(case: Case) -> None:
        np.copyto(target, case.rows.vectors)
        xxhash.xxh3_64_intdigest(target)

    def ready(case: Case) -> None:
        if hasattr(case, "ref"):
            case.content = content(case)
            case.new = anew(case)
        place.drop(case)

    steps = [
        Step(
            "checks of every value",
            "records",
            _checked,
            lambda case: np.isfinite(case.rows.vectors).all(),
            "np.isfinite of the vectors",
        ),
        Step("the writers' lock, the collection as it is", "held", _held),
        Step("are the ids new?", "located", _located),
        Step(
            "positions, dimension",
            "resolved",
            lambda case: upsert.resolve("add", case.records, case.located),
        ),
        Step(
            "the segment: columns made while others are written, hashed and synced by three threads",
            "ref",
            lambda case: segment.write_segment(
                case.held.folder, engine.new_segment_name(), case.resolved.rows
            ),
            one_file,
            "write and fdatasync of the same bytes, one file",
        ),
        Step(
            "the texts and metadata as columns",
            "texts",
            lambda case: anew(case).texts,
            lambda case: orjson.dumps(case.rows.metadatas),
            "orjson.dumps of the metadata",
            within=True,
        ),
        Step(
            "hashes of the ids",
            "hashes",
            lambda case: anew(case).hashes,
            lambda case: [xxhash.xxh3_64_intdigest(id.encode()) for id in case.rows.ids],
            "the hashes, as a list",
            within=True,
        ),
        Step("the filter columns", "typed", lambda case: anew(case).metadata_columns(), within=True),
        Step(
            "squared lengths of the vectors",
            "norms",
            lambda case: segment.squared_norms(case.rows.vectors),
            within=True,
        ),
        Step(
            "the file of the vectors alone, written and synced again",
            "file",
            filed((segment.VECTORS,)),
            copied_and_hashed,
            "memcpy and xxh3 of it",
            within=True,
        ),
        Step("the names synced, the frame appended, the segment opened", "appended", _appended),
        Step("what is due in the background", "told", _told),
        Step("the log synced", "synced", _synced),
    ]

    def same(answer: Any, case: Case) -> bool:
        good = _count(answer, case)
        place.drop(case)
        return good

    table = measure(
        "an add of 10,000 rows",
        lambda case: _add(case.collection, case.rows),
        steps,
        cases,
        same,
        one_file,
        "write and fdatasync of the same bytes, one file",
        ready,
    )
    place.client.close()
    return table, [f"medians of {ADDS} adds, to collections that have {ROWS:,} rows"]


def one(folder: str, rows: data.Rows, count: int = 200) -> tuple[str, list[str]]:
    """The table of an add of one row."""
    place = _Place(folder, rows)
    collections = [place.collection(), place.collection()]  # of the calls, and of the steps
    fd = os.open(f"{folder}/floor", os.O_RDWR | os.O_CREAT)
    os.write(fd, bytes(4 << 20))
    os.fsync(fd)
    made = [0]

    def case() -> Case:
        made[0] += 1
        row = made[0] % (len(rows) - ROWS)
        part = rows.part(row, row + 1)
        part.ids = [f"one {made[0]}"]
        return Case(collection=collections[made[0] % 2], rows=part)

    def encoded(case: Case) -> Any:
        case.commit = Commit(case.resolved.deletes, upsert.as_columns(case.resolved.rows))
        return case.commit.encode()

    def append(case: Case) -> Any:
        case.state.before_append()
        case.state.log.append(log.ROWS, case.payload)
        return case.state.log, case.state.log.offset

    def apply(case: Case) -> None:
        case.state.apply_commit(case.commit)
        case.state.snapshot()
        case.reading.close()
        case.locks.close()

    def located(case: Case) -> Any:
        snapshot = case.state.snapshot()
        return upsert.Located(snapshot, *snapshot.locate(case.records.ids))

    def put(case: Case) -> None:
        at = 4096 + (made[0] * 4096) % (3 << 20)
        os.pwrite(fd, case.payload, at)

    def put_and_sync(case: Case) -> None:
        put(case)
        os.fdatasync(fd)

    def lock_alone(case: Case) -> None:
        with case.held.folder.lock("write.lock"):
            pass

    steps = [
        Step(
            "checks of every value",
            "records",
            _checked,
            lambda case: np.isfinite(case.rows.vectors).all(),
            "one look at each number",
        ),
        Step("the queue of writers", "call", lambda case: Call("add", case.records)),
        Step(
            "the lock of all processes; is it still there?",
            "held",
            _held,
            lock_alone,
            "flock of an open file",
        ),
        Step("is there anything new?", "state", _state),
        Step("is the id new?", "located", located),
        Step(
            "position, dimension", "resolved", lambda case: upsert.resolve("add", case.records, case.located)
        ),
        Step(
            "the row as a frame's content",
            "payload",
            encoded,
            lambda case: orjson.dumps(case.rows.metadatas[0]),
            "orjson.dumps of the metadata",
        ),
        Step(
            "checksum, frame, written and begun to be synced",
            "appended",
            append,
            put,
            "pwrite of the same bytes",
        ),
        Step(
            "the same in memory; locks given back",
            "applied",
            apply,
        ),
        Step("what is due in the background", "told", _told),
        Step("synced", "synced", _synced, put_and_sync, "pwrite and fdatasync of the same bytes"),
    ]
    table = measure(
        "an add of one row",
        lambda case: _add(case.collection, case.rows),
        steps,
        [case] * count,
        lambda answer, case: case.collection.get(case.rows.ids)["ids"] == case.rows.ids,
        put_and_sync,
        "pwrite and fdatasync of the same bytes",
    )
    os.close(fd)
    place.client.close()
    return table, [f"medians of {count} adds of a row each; each is on the disk when it returns"]
