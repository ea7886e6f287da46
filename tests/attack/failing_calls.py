"""One call to the system fails, or is the last, at every place of a kind of work; then the disk is healthy.

Run as `python -m tests.attack.failing_calls KIND PLACES VARIANTS` with the library of failing.c preloaded.
Every place is tried in a forked process and looked at in another one. Prints a JSON line for each place that
ended otherwise than it must, and one with counts at the end.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import shutil
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import chroma
from chroma.embedded.backend import check_folder
from chroma.errors import ChromaError
from chroma.storage.catalog import catalog
from chroma.storage.collection import collection, index_builds, record_store
from chroma.storage.filters import document_index
from chroma.storage.interface import errors
from tests.chroma.migration import handmade

# Small data go the ways of large ones.
record_store.BULK_ROWS = 64  # type: ignore[misc]
index_builds.INDEX_BYTES = 512  # type: ignore[misc]
document_index.LEAST_BYTES = 512  # type: ignore[misc]
collection.QUIET_SECONDS = 3600.0  # nothing in the background unless a kind of work is about that
_DIM, _KILL = 4, 2
_library = ctypes.CDLL(None)
_library.failing_what.restype = ctypes.c_char_p
_library.failing_calls.restype = ctypes.c_long

State = dict[str, dict[str, Any]]  # collections by name; in each, records by id


def _rows(prefix: str, count: int) -> dict[str, Any]:
    ids = [f"{prefix}{i}" for i in range(count)]
    seed = np.random.default_rng(len(prefix) + count)
    return {
        "ids": ids,
        "embeddings": seed.normal(size=(count, _DIM)).astype(np.float32),
        "metadatas": [{"n": i, "of": prefix} for i in range(count)],
        "documents": [f"text {id}" for id in ids],
    }


@dataclass
class Place:
    """A folder of a round: the database, and where a kind of work puts other things."""

    root: Path
    clients: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = self.root / "db"

    def client(self) -> Any:
        if not self.clients:
            self.clients.append(chroma.PersistentClient(self.database))
        return self.clients[0]

    def things(self) -> Any:
        return self.client().get_collection("things", embedding_function=None)

    def close(self) -> None:
        while self.clients:
            self.clients.pop().close()


Call = Callable[[Place], object]


@dataclass(frozen=True)
class Work:
    """`prepare` makes the folder. Each of the calls is acknowledged when it returns. `look` checks what they
    made elsewhere, given how many were acknowledged."""

    calls: list[Call]
    prepare: Callable[[Place], object] = lambda place: _filled(place)
    look: Callable[[Place, list[State], int], None] = lambda place, states, acknowledged: None
    again: bool = False  # whether the same calls, made again, go on from where they stopped
    opened: bool = True  # whether a client has the collection open before anything fails


def _filled(place: Place) -> None:
    """Segments, tombstones, a graph, an index over documents, and a log with rows and new values in it."""
    things = place.client().create_collection("things", embedding_function=None)
    things.add(**_rows("a", 150))
    things.compact()
    things.add(**_rows("b", 70))
    things.delete(ids=[f"a{i}" for i in range(20)])
    things.update(ids=["a140", "a141"], metadatas=[{"new": 1}] * 2)
    things.add(**_rows("c", 5))
    other = place.client().create_collection("other", embedding_function=None, metadata={"m": 1})
    other.add(**_rows("o", 3))


def _backed(place: Place) -> None:
    _filled(place)
    place.client().backup(place.root / "backup")
    place.things().add(**_rows("late", 4))
    place.things().compact()


def _background(place: Place) -> None:
    """What would be done when writes pause, at once and to its end."""
    held = _held(place)
    for kind, job in (
        ("compact", held._compact_in_background),
        ("segment-index", held.indexes.build),
        ("index", lambda: held._index(held.settings)),
    ):
        background = held.store.services.background
        background.submit(kind, held.info.id, job, push=True)
        background.wait(kind, held.info.id)


def _held(place: Place) -> Any:
    backend = place.client()._backend
    return backend.engine.collection("default_tenant", "default_database", str(place.things().id))


def _look_at_backup(place: Place, states: list[State], acknowledged: int) -> None:
    """An earlier backup is what it was, or what is there now; never anything between."""
    backup, target = place.root / "backup", place.root / "restored-to-look"
    try:
        chroma.restore(backup, target)
    except ChromaError:
        if acknowledged:
            raise
        return  # the first backup, not finished: it says so
    try:
        found = _dump(target)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    found.pop("probe", None)
    wanted = states[-1:] if acknowledged else [states[-1], _EARLIER]
    assert any(_same(found, each) for each in wanted), f"the backup holds {_sizes(found)}"


def _look_at_restored(place: Place, states: list[State], acknowledged: int) -> None:
    if acknowledged:
        found = _dump(place.root / "restored")
        assert _same(found, states[-1]), f"restored: {_sizes(found)}"


_EARLIER: State = {}  # what the earlier backup of `_backed` holds


def _export(place: Place) -> None:
    place.things().export(place.root / "out.parquet", overwrite=True)


def _load(place: Place) -> None:
    place.things().load(place.root / "rows.jsonl")


def _with_file(place: Place) -> None:
    _filled(place)
    rows = _rows("l", 90)
    with open(place.root / "rows.jsonl", "w") as file:
        for i, id in enumerate(rows["ids"]):
            row = {"id": id, "embedding": rows["embeddings"][i].tolist(), "n": i, "of": "l"}
            file.write(json.dumps(row) + "\n")


def _chroma_folder(place: Place) -> None:
    """A database of chromadb beside an empty place."""
    made = handmade.Made("moved", handmade.vectors(60), indexed=40)
    handmade.write(place.root / "theirs", [made]).close()
    place.client().create_collection("ours", embedding_function=None).add(**_rows("z", 2))


def _migrate(place: Place) -> None:
    place.close()
    chroma.migrate(place.root / "theirs", place.root / "db", progress=False)


def _catalog_calls() -> list[Call]:
    """Changes of the catalog that make it begin new logs."""
    calls: list[Call] = []
    for number in range(3):
        calls.append(
            lambda place, n=number: _few_frames(place).create_collection(f"more{n}", embedding_function=None)
        )
        calls.append(lambda place, n=number: _few_frames(place).delete_collection(f"more{n}"))
    return calls


def _few_frames(place: Place) -> Any:
    catalog._REWRITE_FRAMES = 6  # type: ignore[misc]
    return place.client()


def _to_memory(place: Place) -> None:
    with chroma.EphemeralClient() as memory:
        memory.reset()
        memory.create_collection("copied", embedding_function=None).add(**_rows("k", 80))
        chroma.copy_collections(memory, place.client(), on_conflict="replace", progress=False)


WORK: dict[str, Work] = {
    "open": Work([lambda place: place.client().list_collections()], prepare=lambda place: None, opened=False),
    "create": Work(
        [
            lambda place: place.client().create_collection("new", embedding_function=None),
            lambda place: place.client().get_collection("new", embedding_function=None).add(**_rows("n", 2)),
        ]
    ),
    "add": Work([lambda place, i=i: place.things().add(**_rows(f"x{i}-", i + 1)) for i in range(3)]),
    "big add": Work([lambda place: place.things().add(**_rows("big", 100))]),
    "update": Work(
        [
            lambda place: place.things().update(ids=["a30", "c1"], metadatas=[{"n": -1}, {"n": -2}]),
            lambda place: place.things().upsert(**_rows("a", 90)),
        ]
    ),
    "new values": Work(
        [
            lambda place: place.things().update(ids=["a30", "a31"], metadatas=[{"n": -1}, {"new": 1}]),
            _background,
            lambda place: place.things().update(
                ids=[f"a{i}" for i in range(25, 90)], metadatas=[{"new": 2}] * 65
            ),
            _background,
            lambda place: place.things().update(ids=["a32"], metadatas=[{"new": 3}]),
            lambda place: place.things().fork("patched"),
            lambda place: place.things().compact(),
        ]
    ),
    "delete": Work(
        [
            lambda place: place.things().delete(ids=["a31", "c0", "b5"]),
            lambda place: place.things().delete(where={"n": {"$gte": 100}}),
        ]
    ),
    "read": Work(
        [
            lambda place: place.things().get(where={"n": {"$lt": 7}}),
            lambda place: place.things().query(query_embeddings=[[1, 2, 3, 4]], where={"of": "a"}),
            lambda place: place.things().info(),
        ]
    ),
    "compact": Work([lambda place: place.things().compact(), lambda place: place.things().compact()]),
    "background": Work([_background]),
    "index": Work(
        [lambda place: place.things().modify(configuration={"hnsw": {"ef_search": 33}}), _background]
    ),
    "fork": Work([lambda place: place.things().fork("forked")]),
    "repair": Work([lambda place: check_folder(str(place.database), repair=True)], opened=False),
    "rename": Work([lambda place: place.things().modify(name="renamed", metadata={"x": 2})]),
    "delete collection": Work([lambda place: place.client().delete_collection("things")]),
    "reset": Work([lambda place: place.client().reset()]),
    "catalog": Work(_catalog_calls()),
    "first backup": Work(
        [lambda place: place.client().backup(place.root / "backup")], look=_look_at_backup, again=True
    ),
    "next backup": Work(
        [lambda place: place.client().backup(place.root / "backup")],
        prepare=_backed,
        look=_look_at_backup,
        again=True,
    ),
    "restore": Work(
        [lambda place: chroma.restore(place.root / "backup", place.root / "restored")],
        prepare=lambda place: (_filled(place), place.client().backup(place.root / "backup")),
        look=_look_at_restored,
        again=True,
        opened=False,
    ),
    "restore over": Work(
        [lambda place: chroma.restore(place.root / "backup", place.root / "db", overwrite=True)],
        prepare=_backed,
        again=True,
    ),
    "copy": Work([_to_memory], again=True),
    "load": Work([_load], prepare=_with_file, again=True),
    "export": Work([_export], again=True),
    "migrate": Work([_migrate], prepare=_chroma_folder, opened=False, again=True),
}


# ---------------------------------------------------------------------------- what is there


def _dump(folder: Path) -> State:
    client = chroma.PersistentClient(folder)
    try:
        found: State = {}
        for each in client.list_collections():
            one = client.get_collection(each.name, embedding_function=None)
            got = one.get(include=["embeddings", "metadatas", "documents"])
            rows = zip(got["ids"], got["embeddings"], got["metadatas"], got["documents"], strict=True)
            found[each.name] = {id: (tuple(map(float, v)), m, d) for id, v, m, d in rows}
            assert one.count() == len(found[each.name])
            if found[each.name]:
                id, (vector, _, _) = next(iter(found[each.name].items()))
                hits = one.query(query_embeddings=[vector], n_results=1, exact=True)["distances"]
                assert hits[0][0] < 1e-5, f"{id} of {each.name} is not found by its vector"
        return found
    finally:
        client.close()


def _same(one: State, other: State) -> bool:
    return one == other


def _sizes(state: State) -> dict[str, int]:
    return {name: len(records) for name, records in state.items()}


# ---------------------------------------------------------------------------- processes


def _forked(job: Callable[[], dict[str, Any]], seconds: float = 60.0) -> dict[str, Any]:
    """What a forked process returns; {"died": how} if it returned nothing."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            answer = job()
        except BaseException:
            answer = {"died": traceback.format_exc()}
        with os.fdopen(write, "w") as file:
            json.dump(answer, file)
        os._exit(0)
    os.close(write)
    timer = threading.Timer(seconds, os.kill, (pid, 9))
    timer.start()
    with os.fdopen(read) as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    timer.cancel()
    timer.join()
    return json.loads(text) if text else {"died": f"status {status}"}


class _Heard(logging.Handler):
    """Errors of other classes that a background thread met."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, (errors.StorageError, ChromaError)):
            self.foreign.append("in the background: " + "".join(traceback.format_exception(error)))


def _attacked(root: Path, work: Work, place_number: int, variant: int) -> dict[str, Any]:
    """Do the work with one call failing; what was acknowledged, and what was raised."""
    heard = _Heard()
    logging.getLogger("chroma").addHandler(heard)
    logging.getLogger("chroma").propagate = False
    foreign: list[str] = []
    threading.excepthook = lambda caught: foreign.append(f"in a thread: {caught.exc_value!r}")
    place = Place(root)
    _library.failing_watch(os.fsencode(str(root)))
    if work.opened:
        place.things()
    acknowledged, raised = 0, None
    _library.failing_arm(place_number, variant)
    try:
        for call in work.calls:
            call(place)
            acknowledged += 1
            _count(root).write_text(str(acknowledged))
    except (ChromaError, errors.StorageError) as error:
        raised = f"{type(error).__name__}: {error}"
    except BaseException:
        foreign.append(traceback.format_exc())
        raised = "foreign"
    calls, what = _library.failing_calls(), _library.failing_what().decode()
    _library.failing_arm(0, 0)
    probed = None
    try:  # the same client goes on, or says in an error of the package why not
        place.client().get_or_create_collection("probe", embedding_function=None).upsert(**_rows("p", 2))
        probed = True
    except ChromaError as error:
        probed = f"{type(error).__name__}: {error}"
    except BaseException:
        foreign.append("later: " + traceback.format_exc())
    try:
        place.close()
    except ChromaError:
        pass
    except BaseException:
        foreign.append("close: " + traceback.format_exc())
    return {
        "acknowledged": acknowledged,
        "raised": raised,
        "foreign": foreign + heard.foreign,
        "calls": calls,
        "what": what,
        "probed": probed,
    }


def _count(root: Path) -> Path:
    """Where a process that may be killed says how many calls were acknowledged."""
    return root.with_name("acknowledged")


def _killed(root: Path) -> dict[str, Any]:
    """What is known of a process that was killed."""
    acknowledged = int(_count(root).read_text()) if _count(root).exists() else 0
    known = {"acknowledged": acknowledged, "raised": "killed", "what": "killed"}
    return known | {"foreign": [], "probed": None}


def _looked_at(root: Path, work: Work, states: list[State], done: dict[str, Any]) -> dict[str, Any]:
    """What a fresh process finds wrong."""
    wrong: list[str] = []
    acknowledged = done["acknowledged"]
    possible = states[acknowledged : acknowledged + (1 if done["raised"] is None else 2)]
    database = root / "db"

    def compare(when: str, folder: Path = database) -> None:
        try:
            found = _dump(folder)
        except Exception:
            wrong.append(f"{when}: {traceback.format_exc()}")
            return
        probe = found.pop("probe", None)
        if done["probed"] is True and (probe is None or len(probe) != 2):
            wrong.append(f"{when}: what was written later is not there: {probe}")
        if not any(_same(found, each) for each in possible):
            wrong.append(f"{when}: {_sizes(found)} instead of one of {[_sizes(each) for each in possible]}")

    def check(when: str, folder: Path = database) -> None:
        try:
            report = check_folder(str(folder))
        except errors.NotADatabase:
            if acknowledged:
                wrong.append(f"{when}: no database")
            return
        bad = [f"{each.path}: {each.message}" for each in report.findings if each.severity != "ok"]
        if bad:
            wrong.append(f"{when}: check says {bad}")

    check("check before reading")
    if "is restored" in str(done["raised"]):  # all of it, and the error says so: nothing to do again
        possible, acknowledged = states[-1:], len(work.calls)
    elif work.again and done["raised"] is not None:
        try:
            place = Place(root)
            for call in work.calls:
                call(place)
            place.close()
        except Exception:
            wrong.append(f"again: {traceback.format_exc()}")
        possible, acknowledged = states[-1:], len(work.calls)
        done = done | {"probed": None}  # where the work replaces the database, it goes, too
    compare("read")
    try:
        work.look(Place(root), states, acknowledged)
    except Exception:
        wrong.append(f"elsewhere: {traceback.format_exc()}")
    # A manifest that is lost later is put back from its copy: what that names must be there, too.
    aside = root / "without-manifests"
    if database.exists():
        shutil.copytree(database, aside)
        for name in ("manifest.json", "catalog.json"):
            for path in aside.rglob(name):
                if path.with_name(path.stem + ".copy").exists():
                    path.unlink()
        try:
            check_folder(str(aside), repair=True)
            compare("repaired from the copies", aside)
        except errors.NotADatabase:
            if acknowledged:
                wrong.append("repair: no database")
        except Exception:
            wrong.append(f"repair: {traceback.format_exc()}")
        shutil.rmtree(aside)
    try:
        with chroma.PersistentClient(database) as client:
            for each in client.list_collections():
                client.get_collection(each.name, embedding_function=None).compact()
    except Exception:
        wrong.append(f"compact afterwards: {traceback.format_exc()}")
    compare("compacted")
    check("check at the end")
    return {"wrong": wrong}


def _prepared(root: Path, work: Work) -> dict[str, Any]:
    place = Place(root)
    place.root.mkdir(exist_ok=True)
    work.prepare(place)
    earlier: State = {}
    if work.prepare is _backed:
        chroma.restore(root / "backup", root / "looked-at")
        earlier = _dump(root / "looked-at")
        shutil.rmtree(root / "looked-at")
    place.close()
    return {"earlier": earlier}


def _states(root: Path, work: Work) -> dict[str, Any]:
    """What the database holds before and after each call, when nothing fails."""
    states = [_dump(root / "db")]
    for call in work.calls:
        place = Place(root)
        call(place)
        place.close()
        states.append(_dump(root / "db"))
    return {"states": states}


def _plain(states: list[Any]) -> list[State]:
    """States as they were before JSON: vectors are tuples."""
    return [
        {
            name: {id: (tuple(row[0]), *row[1:]) for id, row in records.items()}
            for name, records in state.items()
        }
        for state in states
    ]


def main(kind: str, most: int, variants: list[int]) -> None:
    work = WORK[kind]
    with tempfile.TemporaryDirectory(prefix="chroma-failing-") as scratch:
        home = Path(os.path.realpath(scratch))
        made = _forked(lambda: _prepared(home / "made", work))
        assert "earlier" in made, made
        _EARLIER.update(_plain([made["earlier"]])[0])
        shutil.copytree(home / "made", home / "once")
        answer = _forked(lambda: _states(home / "once", work))
        assert "states" in answer, answer
        states = _plain(answer["states"])
        shutil.copytree(home / "made", home / "counted")
        counted = _forked(lambda: _attacked(home / "counted", work, 0, 0))
        assert "calls" in counted and counted["raised"] is None, counted
        total = len(variants) * counted["calls"]
        picked = sorted({round(i * total / min(most, total)) for i in range(min(most, total))})
        tried = 0
        for number in picked:
            place_number, variant = number // len(variants) + 1, variants[number % len(variants)]
            root = home / "round"
            shutil.copytree(home / "made", root)
            _count(root).unlink(missing_ok=True)
            done = _forked(lambda root=root, n=place_number, v=variant: _attacked(root, work, n, v))
            if variant == _KILL and done.get("died") == "status 9":
                done = _killed(root)
            wrong = [done["died"]] if "died" in done else list(done["foreign"])
            if "died" not in done:
                looked = _forked(lambda root=root, done=done: _looked_at(root, work, states, done))
                wrong += [looked["died"]] if "died" in looked else looked["wrong"]
                tried += bool(done["what"])
            if wrong:
                said = {"place": place_number, "variant": variant, "call": done.get("what")}
                print(json.dumps(said | {"raised": done.get("raised"), "wrong": wrong}), flush=True)
            shutil.rmtree(root)
        print(json.dumps({"kind": kind, "calls": counted["calls"], "places": tried}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), [int(each) for each in sys.argv[3]])
