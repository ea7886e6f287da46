"""Graphs: built aside, rebuilt on new settings, dropped under a budget, never needed for a right answer."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.storage.index import graph_file, hnsw, native_graph
from chroma.storage.native import kernel
from chroma.storage.segments.segment import Segment
from chroma.storage.vectors import pca

ROWS, DIM = 3000, 16
VECTORS = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)
IDS = [f"i{row}" for row in range(ROWS)]
GRAPH_BYTES = hnsw.nbytes(ROWS, DIM, 16)


@pytest.fixture()
def without_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graphs are hnswlib's, and have a copy of the vectors in memory."""
    monkeypatch.setattr(kernel, "graph", None)
    monkeypatch.setattr(kernel, "_warned", threading.Event())
    kernel._warned.set()


@pytest.fixture(autouse=True)
def small_segments_get_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1)
    monkeypatch.setattr("chroma.storage.collection.record_store.BULK_ROWS", 1000)
    monkeypatch.setattr("chroma.storage.collection.collection.QUIET_SECONDS", 0.0)


def _filled(client: Any, name: str = "things", space: str = "l2") -> Any:
    collection = client.create_collection(
        name, embedding_function=None, configuration={"hnsw": {"space": space}}
    )
    collection.add(ids=IDS, embeddings=VECTORS, metadatas=[{"n": row} for row in range(ROWS)])
    return collection


def _graphs(collection: Any) -> Any:
    backend = collection._backend
    return backend.engine._open[str(collection.id)].graphs


def _recall(collection: Any, **how: Any) -> float:
    queries = VECTORS[:40] + 0.01
    exact = collection.query(query_embeddings=queries, n_results=10, exact=True, **how)["ids"]
    fast = collection.query(query_embeddings=queries, n_results=10, **how)["ids"]
    return float(np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(exact, fast, strict=True)]))


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_the_index_answers_well_and_gives_exact_distances(tmp_path: Path, space: str) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client, space=space)
        collection.compact()
        assert len(_graphs(collection)._loaded) == 1
        assert _recall(collection) >= 0.95 and collection.recall() >= 0.95
        fast = collection.query(query_embeddings=VECTORS[:5], n_results=3)
        exact = collection.query(query_embeddings=VECTORS[:5], n_results=3, exact=True)
        for ids, distances, others, right in zip(
            fast["ids"], fast["distances"], exact["ids"], exact["distances"], strict=True
        ):
            known = dict(zip(others, right, strict=True))
            assert all(
                known[id] == distance for id, distance in zip(ids, distances, strict=True) if id in known
            )


@pytest.mark.parametrize("share", [1, 2, 10, 100, 1000])
def test_filtered_searches_find_what_matches(tmp_path: Path, share: int) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.compact()
        where = {"n": {"$lt": ROWS // share}}
        assert _recall(collection, where=where) >= 0.95
        got = collection.query(query_embeddings=VECTORS[:3], n_results=20, where=where)["ids"]
        assert [len(ids) for ids in got] == [min(20, ROWS // share)] * 3


def test_a_filter_that_keeps_only_the_far_ones_is_answered_in_full(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.compact()
        order = np.argsort(((VECTORS - VECTORS[0]) ** 2).sum(axis=1))
        far = [IDS[row] for row in order[-ROWS // 2 :]]
        collection.update(ids=far, metadatas=[{"far": True}] * len(far))
        collection.compact()
        got = collection.query(query_embeddings=VECTORS[:1], n_results=10, where={"far": True})["ids"][0]
        assert got == far[:10]


def test_deleted_records_do_not_come_back_from_the_graph(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.compact()
        collection.delete(ids=IDS[:400])  # below the share that makes a segment be rewritten
        found = collection.query(query_embeddings=VECTORS[:50], n_results=10)["ids"]
        assert all(len(ids) == 10 for ids in found)
        assert not {id for ids in found for id in ids} & set(IDS[:400])


def test_new_settings_build_a_new_index(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.compact()
        (before,) = tmp_path.rglob("graph-*")
        size = before.stat().st_size
        collection.modify(configuration={"hnsw": {"max_neighbors": 4}})
        collection._backend.engine.services.background.wait("index", str(collection.id))
        (after,) = tmp_path.rglob("graph-*")
        assert after.name != before.name and after.stat().st_size < size


def test_search_effort_takes_effect_at_once(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.compact()
        for ef in (50, 200):
            collection.modify(configuration={"hnsw": {"ef_search": ef}})
            (part,) = collection.query(query_embeddings=VECTORS[:1], explain=True)["explain"].parts
            assert part.runs[0].plan["ef"] == ef


@pytest.mark.usefixtures("without_codes")
def test_a_budget_closes_idle_indexes_and_answers_stay_right(tmp_path: Path) -> None:
    settings = chroma.Settings(chroma_memory_limit_bytes=int(2.5 * GRAPH_BYTES))  # one fits
    with chroma.PersistentClient(tmp_path, settings=settings) as client:
        one, two = _filled(client, "one"), _filled(client, "two")
        one.compact()
        two.compact()
        assert not _graphs(one)._loaded and len(_graphs(two)._loaded) == 1
        assert one.query(query_embeddings=VECTORS[7:8], n_results=1)["ids"] == [["i7"]]
        one._backend.engine.services.background.wait(
            "load", f"{one.id}/{next(iter(tmp_path.rglob('graph-*'))).parent.name}"
        )


def test_an_index_that_was_not_finished_is_built_at_the_next_open(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        engine = client._backend.engine
        engine.services.background.close()  # nothing is built any more
        _filled(client)
    assert not list(tmp_path.rglob("graph-*"))
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things")
        background = client._backend.engine.services.background
        assert collection.count() == ROWS
        background.wait("compact", str(collection.id))
        background.wait("index", str(collection.id))
        assert list(tmp_path.rglob("graph-*")) and not background.errors


def test_without_hnswlib_answers_are_exact_and_one_warning_says_so(tmp_path: Path) -> None:
    script = f"""
import sys, warnings
sys.modules["hnswlib"] = sys.modules["chroma.storage.native._graph"] = None
import numpy as np, chroma
from chroma.storage.collection import index_builds
index_builds.INDEX_BYTES = 1
vectors = np.random.default_rng(0).standard_normal((500, 8)).astype("f4")
with warnings.catch_warnings(record=True) as caught, chroma.PersistentClient({str(tmp_path)!r}) as client:
    warnings.simplefilter("always")
    c = client.create_collection("things", embedding_function=None)
    c.add(ids=[str(i) for i in range(500)], embeddings=vectors)
    c.compact()
    c.compact()
    found = c.query(query_embeddings=vectors, n_results=1)["ids"]
assert found == [[str(i)] for i in range(500)]
texts = [str(w.message) for w in caught if "hnswlib is not" in str(w.message)]
assert len(texts) == 1 and "pip install hnswlib" in texts[0], texts
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


# ---------------------------------------------------------------------------- the memory limit


def _with_limit(path: Path, limit: int) -> Any:
    return chroma.PersistentClient(path, settings=chroma.Settings(chroma_memory_limit_bytes=limit))


def _loads(collection: Any) -> None:
    """Let a search start the load of the graph, and wait until it has ended."""
    collection.query(query_embeddings=VECTORS[:1])
    background = collection._backend.engine.services.background
    for kind, key in [*background._waiting, *background._running]:
        if kind == "load":
            background.wait(kind, key)


@pytest.mark.usefixtures("without_codes")
def test_a_graph_beyond_the_limit_is_not_built(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with _with_limit(tmp_path, 2 * GRAPH_BYTES - 1) as client:
        collection = _filled(client)
        collection.compact()
        assert _graphs(collection)._loaded == {}
        assert client._backend.engine.services.budget.used() == 0
        assert collection.get_indexing_status().op_indexing_progress == 1.0  # nothing is left to be done
        assert _recall(collection) == 1.0
        collection.add(ids=["more"], embeddings=VECTORS[:1] + 9)
        collection.compact()
    (first, *_) = [record.getMessage() for record in caplog.records if "needs" in record.getMessage()]
    assert f"the index of {ROWS} records" in first and "chroma_memory_limit_bytes" in first
    with _with_limit(tmp_path, 3 * GRAPH_BYTES) as client:  # with more room it is built after all
        collection = client.get_collection("things", embedding_function=None)
        collection.compact()
        assert len(_graphs(collection)._loaded) == 1


@pytest.mark.usefixtures("without_codes")
def test_a_graph_beyond_the_limit_is_not_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
    with _with_limit(tmp_path, 2 * GRAPH_BYTES - 1) as client:
        collection = client.get_collection("things", embedding_function=None)
        for _ in range(3):
            _loads(collection)
        assert _graphs(collection)._loaded == {} and _recall(collection) == 1.0
        assert collection.recall() == 1.0
        assert client._backend.engine.services.budget.used() == 0
    assert sum("needs" in record.getMessage() for record in caplog.records) == 1
    with _with_limit(tmp_path, 2 * GRAPH_BYTES) as client:
        collection = client.get_collection("things", embedding_function=None)
        _loads(collection)
        assert len(_graphs(collection)._loaded) == 1
        assert client._backend.engine.services.budget.used() == GRAPH_BYTES


@pytest.mark.usefixtures("without_codes")
def test_others_are_closed_before_one_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["one", "two", "three"]
    with chroma.PersistentClient(tmp_path) as client:
        for name in names:
            _filled(client, name).compact()
    with _with_limit(tmp_path, 3 * GRAPH_BYTES) as client:
        budget, most = client._backend.engine.services.budget, [0]
        reserve = budget.reserve

        def seen(key: str, size: int) -> bool:
            done: bool = reserve(key, size)
            most[0] = max(most[0], budget.used())
            return done

        monkeypatch.setattr(budget, "reserve", seen)
        opened = [client.get_collection(name, embedding_function=None) for name in names]
        for collection in opened * 2:
            _loads(collection)
            assert len(_graphs(collection)._loaded) == 1
        assert most[0] == 3 * GRAPH_BYTES
        assert sum(len(_graphs(collection)._loaded) for collection in opened) == 2


@pytest.mark.usefixtures("without_codes")
def test_a_load_that_finds_no_room_is_tried_again(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
    with _with_limit(tmp_path, 4 * GRAPH_BYTES) as client:
        collection = client.get_collection("things", embedding_function=None)
        budget = client._backend.engine.services.budget
        assert budget.reserve("a build elsewhere", 3 * GRAPH_BYTES)
        _loads(collection)
        assert _graphs(collection)._loaded == {} and budget.used() == 3 * GRAPH_BYTES
        budget.forget("a build elsewhere")
        _loads(collection)
        assert len(_graphs(collection)._loaded) == 1


@pytest.mark.usefixtures("without_codes")
def test_collections_that_were_closed_as_idle_load_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["one", "two", "three"]
    with chroma.PersistentClient(tmp_path) as client:
        for name in names:
            _filled(client, name).compact()
    monkeypatch.setattr("chroma.storage.engine.OPEN_COLLECTIONS", 1)
    with chroma.PersistentClient(tmp_path) as client:
        budget = client._backend.engine.services.budget
        for name in names:
            collection = client.get_collection(name, embedding_function=None)
            collection.query(query_embeddings=VECTORS[:1])  # starts the load, which waits a little
        background = client._backend.engine.services.background
        for kind, key in [*background._waiting, *background._running]:
            background.wait(kind, key)
        assert budget.used() == GRAPH_BYTES  # of the last one
        graphs = _graphs(collection)
        ((name, (ref, graph)),) = graphs._loaded.items()
        client.get_collection(names[0], embedding_function=None).count()
        graphs._keep(name, ref, graph)  # as a load does that had begun before
        assert graphs._loaded == {} and budget.used() == 0


@pytest.mark.usefixtures("without_codes")
def test_a_load_that_fails_gives_its_room_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise ValueError("no links")

    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
    monkeypatch.setattr("chroma.storage.index.graph_file._links", fails)
    monkeypatch.setattr("chroma.storage.collection.index_builds.Graphs.schedule", lambda *_: None)
    with _with_limit(tmp_path, 2 * GRAPH_BYTES) as client:
        collection = client.get_collection("things", embedding_function=None)
        _loads(collection)
        assert _graphs(collection)._broken and client._backend.engine.services.budget.used() == 0
        collection.compact()  # waited for ever for the room that the load had reserved
        assert len(_graphs(collection)._loaded) == 1


@pytest.mark.usefixtures("without_codes")
def test_a_build_waits_for_room(tmp_path: Path) -> None:
    with _with_limit(tmp_path, 3 * GRAPH_BYTES) as client:
        collection = _filled(client)
        budget = client._backend.engine.services.budget
        assert budget.reserve("a build elsewhere", 2 * GRAPH_BYTES)
        timer = threading.Timer(0.3, budget.forget, ["a build elsewhere"])
        timer.start()
        collection.compact()
        timer.join()
        assert len(_graphs(collection)._loaded) == 1 and budget.used() == GRAPH_BYTES


@pytest.mark.usefixtures("without_codes")
def test_graphs_in_memory_count_until_their_collection_is_deleted() -> None:
    client = chroma.EphemeralClient(settings=chroma.Settings(chroma_memory_limit_bytes=3 * GRAPH_BYTES))
    budget = client._backend.engine.services.budget
    for name in ("one", "two", "three"):
        _filled(client, name).compact()
        assert budget.used() == GRAPH_BYTES
        client.delete_collection(name)
        assert budget.used() == 0


@pytest.mark.usefixtures("without_codes")
def test_graphs_in_memory_that_leave_no_room_do_not_stop_a_build(caplog: pytest.LogCaptureFixture) -> None:
    settings = chroma.Settings(chroma_memory_limit_bytes=2 * GRAPH_BYTES)
    client = chroma.EphemeralClient(settings=settings, private=True)
    _filled(client, "one").compact()
    two = _filled(client, "two")
    two.compact()  # waited for ever: what is in memory alone is not evicted
    assert _graphs(two)._loaded == {} and _recall(two) == 1.0
    assert two.get_indexing_status().op_indexing_progress == 1.0
    assert "indexes without a file hold" in caplog.text


# ---------------------------------------------------------------------------- graphs of codes


def _coded(collection: Any) -> bool:
    ((_, graph),) = _graphs(collection)._loaded.values()
    return isinstance(graph, native_graph.NativeGraph)


def test_the_first_search_of_a_new_process_uses_the_graph(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        (part,) = collection.query(query_embeddings=VECTORS[:1], explain=True)["explain"].parts
        assert part.indexed and part.runs[0].plan["name"] == "GraphSearch" and _coded(collection)


def test_a_graph_of_codes_needs_no_room_for_vectors(tmp_path: Path) -> None:
    building = max(native_graph.building_bytes(ROWS, 16), pca.choosing_bytes(ROWS, DIM))
    with _with_limit(tmp_path, building) as client:
        collection = _filled(client)
        collection.compact()
        assert _coded(collection) and _recall(collection) >= 0.95
        assert client._backend.engine.services.budget.used() < 10 * ROWS
    with _with_limit(tmp_path, 10 * ROWS) as client:
        collection = client.get_collection("things", embedding_function=None)
        assert _recall(collection) >= 0.95 and _coded(collection)


def test_a_graph_whose_building_needs_too_much_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with _with_limit(tmp_path, native_graph.building_bytes(ROWS, 16) - 1) as client:
        collection = _filled(client)
        collection.compact()
        assert _graphs(collection)._loaded == {} and _recall(collection) == 1.0
        assert collection.get_indexing_status().op_indexing_progress == 1.0
    assert f"the index of {ROWS} records" in caplog.text


def test_graphs_of_codes_in_memory_count_with_their_arrays() -> None:
    client = chroma.EphemeralClient(private=True)
    budget = client._backend.engine.services.budget
    collection = _filled(client)
    collection.compact()
    assert _coded(collection) and 60 * ROWS < budget.used() < 250 * ROWS
    client.delete_collection("things")
    assert budget.used() == 0


def test_vectors_that_codes_would_confuse_get_a_graph_of_hnswlib(tmp_path: Path) -> None:
    vectors = VECTORS.copy()
    vectors[:, 0] = 1e4  # all else is lost in a 127th of this
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("things", embedding_function=None)
        collection.add(ids=IDS, embeddings=vectors)
        collection.compact()
        assert not _coded(collection)
        found = collection.query(query_embeddings=vectors[:50], n_results=1)["ids"]
        assert np.mean([ids == [id] for ids, id in zip(found, IDS, strict=False)]) >= 0.95
        (before,) = tmp_path.rglob("graph-*")
        collection.compact()  # it is no reason to build it again
        assert list(tmp_path.rglob("graph-*")) == [before]


def test_graphs_of_an_older_version_serve_until_they_are_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(kernel, "graph", None)  # the graphs that are built then are hnswlib's
        patch.setattr(kernel, "_warned", threading.Event())
        kernel._warned.set()
        with chroma.PersistentClient(tmp_path) as client:
            _filled(client).compact()
    (before,) = tmp_path.rglob("graph-*")
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        background = client._backend.engine.services.background
        _loads(collection)
        assert _recall(collection) >= 0.95
        background.wait("index", str(collection.id))
        assert _coded(collection) and _recall(collection) >= 0.95
        (after,) = tmp_path.rglob("graph-*")
        assert after.name != before.name and not background.errors


def test_a_damaged_graph_is_built_again_and_answers_stay_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.compact()
        (before,) = tmp_path.rglob("graph-*")
        ((_, graph),) = _graphs(collection)._loaded.values()

        class Lost:
            def search(self, *_: Any) -> None:
                raise kernel.graph.Damaged("a link leads nowhere")  # type: ignore[union-attr]

        graph._graph = Lost()
        assert _recall(collection) == 1.0
        client._backend.engine.services.background.wait("index", str(collection.id))
        (after,) = tmp_path.rglob("graph-*")
        assert after.name != before.name and _coded(collection)


def test_the_first_search_reads_only_some_of_the_vectors_and_notices_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chroma.storage.index.graph._BLOCK_BYTES", 4 * DIM * 10)
    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
    (file,) = tmp_path.rglob("vectors.arrow")
    whole = file.read_bytes()
    at = whole.index(VECTORS[7].tobytes()) + 3
    file.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        far = VECTORS[[2900]]
        names = [IDS[row] for row in range(7, 17)]
        found = collection.query(query_embeddings=far, n_results=3)["ids"][0]
        assert found[0] == "i2900" and not set(found) & set(names)
        with pytest.raises(chroma.errors.CorruptionError, match=r"vectors\.arrow is damaged"):
            collection.query(query_embeddings=VECTORS[[7]], n_results=3)


@pytest.mark.parametrize(
    "settings", [{"max_neighbors": 128}, {"ef_construction": 10}, {"ef_construction": 2**31 - 1}]
)
def test_any_settings_of_an_index_are_built_once(tmp_path: Path, settings: dict[str, int]) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection(
            "things", embedding_function=None, configuration={"hnsw": settings}
        )
        collection.add(ids=IDS, embeddings=VECTORS)
        collection.compact()
        (before,) = tmp_path.rglob("graph-*")
        assert _coded(collection) and _recall(collection) >= 0.9
        collection.compact()
        assert list(tmp_path.rglob("graph-*")) == [before]


def test_any_effort_and_any_number_of_results_are_answered(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.compact()
        collection.modify(configuration={"hnsw": {"ef_search": 2**31 - 1}})
        assert _recall(collection) == 1.0
        for results in (2000, 10**6, 2**31 - 1):
            found = collection.query(query_embeddings=VECTORS[:2], n_results=results, include=[])["ids"]
            assert [len(ids) for ids in found] == [min(ROWS, results)] * 2
            some = collection.query(
                query_embeddings=VECTORS[:1], n_results=results, where={"n": {"$lt": 2500}}, include=[]
            )["ids"][0]
            assert len(some) == min(2500, results)


def test_an_outdated_graph_whose_building_needs_too_much_goes_on_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_graph, "building_bytes", lambda rows, neighbors: 1 << 40)
    with monkeypatch.context() as patch:
        patch.setattr(kernel, "graph", None)
        patch.setattr(kernel, "_warned", threading.Event())
        kernel._warned.set()
        with chroma.PersistentClient(tmp_path) as client:
            _filled(client).compact()
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        _loads(collection)
        client._backend.engine.services.background.wait("index", str(collection.id))  # waited for ever
        collection.compact()
        assert _recall(collection) >= 0.95 and not _coded(collection)


def test_a_graph_file_that_cannot_be_read_does_not_stop_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise MemoryError

    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
    monkeypatch.setattr("chroma.storage.index.graph_file.load", fails)
    monkeypatch.setattr(hnsw, "available", lambda: False)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        assert _recall(collection) == 1.0
    assert caplog.text.count("cannot be read") == 1


def test_a_graph_of_an_older_version_is_built_again_without_hnswlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(kernel, "graph", None)
        patch.setattr(kernel, "_warned", threading.Event())
        kernel._warned.set()
        with chroma.PersistentClient(tmp_path) as client:
            _filled(client).compact()
    monkeypatch.setattr(hnsw, "available", lambda: False)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        collection.compact()
        client._backend.engine.services.background.wait("index", str(collection.id))
        assert _recall(collection) >= 0.95 and _coded(collection)


def test_compact_builds_a_graph_anew_whose_file_is_damaged(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
    (file,) = tmp_path.rglob("graph-*")
    file.write_bytes(file.read_bytes()[:8] + b"?" + file.read_bytes()[9:])
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        collection.compact()
        assert collection.get_indexing_status().num_unindexed_ops == 0
        assert _coded(collection)
        (after,) = tmp_path.rglob("graph-*")
        assert after.name != file.name


@pytest.mark.parametrize("found", ["outdated", "unknown", "unusable"])
def test_a_graph_that_another_version_replaces_is_not_built_for_ever(
    found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Two programs, each of which deems the other's graphs unfit, do not build in turns without end."""
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.compact()
        graphs, background = _graphs(collection), client._backend.engine.services.background
        settings = client._backend.engine._open[str(collection.id)].settings

        def other_program() -> str:
            (view,) = graphs._store.refresh().views
            with monkeypatch.context() as patch:
                if found == "unknown":
                    patch.setattr("chroma.storage.index.graph_file._MAGIC", b"CHROMHN9")
                else:
                    patch.setattr(kernel, "graph", None)
                patch.setattr(graphs, "_keep", lambda *_: None)
                patch.setattr(hnsw, "available", lambda: True)
                graphs._build_one(view.source, settings, True)
            (view,) = graphs._store.refresh().views
            graphs._drop(view.source.name)
            return str(view.ref.graph.file.name)

        if found == "unusable":
            monkeypatch.setattr(hnsw, "available", lambda: False)
        replaced = []
        for _ in range(4):
            made = other_program()
            (view,) = graphs._store.refresh().views
            for _ in range(3):
                graphs.load_now(view, settings)
                collection.query(query_embeddings=VECTORS[:1])
            for kind in ("load", "index"):
                background.wait(kind, str(collection.id))
            (view,) = graphs._store.refresh().views
            replaced.append(view.ref.graph.file.name != made)
        assert replaced == [True, True, False, False]
        assert caplog.text.count("no longer built anew") == 1
        assert _recall(collection) >= 0.95  # it is searched as it is, or not at all
        assert graphs.missing(graphs._store.snapshot(), settings) == []
        status = collection.get_indexing_status()
        assert status.num_unindexed_ops == (0 if found == "outdated" else ROWS)
        monkeypatch.setattr(hnsw, "available", lambda: True)
        collection.compact()
        assert collection.get_indexing_status().num_unindexed_ops == 0
        assert _recall(collection) >= 0.95 and len(graphs._loaded) == 1
        assert found == "outdated" or _coded(collection)


def test_files_beyond_memory_are_read_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the system reads megabytes around each vector, and evicts what the next query needs."""
    advised = []

    def read_at_random(mapped: memoryview) -> None:
        advised.append(len(mapped))

    monkeypatch.setattr("chroma.storage.io.memory_map.read_at_random", read_at_random)
    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
        assert not advised
    size = next(path.stat().st_size for path in tmp_path.rglob("vectors.arrow"))
    monkeypatch.setattr("chroma.storage.io.machine_memory.usable", lambda: size)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        assert _recall(collection) >= 0.95 and _coded(collection)
        assert size in advised
        # An exact search reads all vectors, in their order, so it has a map of its own.
        (view,) = _graphs(collection)._store.snapshot().views
        assert not np.shares_memory(view.unchecked_vectors, view.vectors)
        assert np.array_equal(view.unchecked_vectors, view.vectors)


def test_the_file_of_a_graph_is_checked_before_it_is_read_page_by_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checksum reads the whole file. Without reading ahead, that takes 18 times as long."""
    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
    size = next(path.stat().st_size for path in tmp_path.rglob("graph-*"))
    steps = []

    def read_at_random(mapped: memoryview) -> None:
        steps.append(("at random", len(mapped)))

    def verified(path: str, content: memoryview, file: Any) -> None:
        steps.append(("checked", len(content)))
        verify(path, content, file)

    verify = graph_file._verify
    monkeypatch.setattr(graph_file, "_verify", verified)
    monkeypatch.setattr("chroma.storage.io.memory_map.read_at_random", read_at_random)
    monkeypatch.setattr("chroma.storage.io.machine_memory.usable", lambda: size)
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        assert _recall(collection) >= 0.95 and _coded(collection)
    assert [step for step in steps if step[1] == size] == [("checked", size), ("at random", size)]


@pytest.fixture()
def beyond_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, list[int]]]:
    """A collection that memory has no room for, and how many vectors were read at random by each reader."""
    with chroma.PersistentClient(tmp_path) as client:
        _filled(client).compact()
    monkeypatch.setattr("chroma.storage.io.machine_memory.usable", lambda: 1)
    read: list[int] = []
    choose = Segment.vectors_to_read

    def chosen(segment: Segment, rows: Any) -> Any:
        out = choose(segment, rows)
        assert np.array_equal(out, segment.vectors)
        read.append(len(rows) if np.shares_memory(out, segment.unchecked_vectors) else 0)
        return out

    monkeypatch.setattr(Segment, "vectors_to_read", chosen)
    with chroma.PersistentClient(tmp_path) as client:
        yield client.get_collection("things", embedding_function=None), read


_SCATTERED = {"n": {"$in": [*range(0, ROWS, 60)]}}


@pytest.mark.parametrize(
    ("method", "asked", "rows"),
    [
        ("query", {"query_embeddings": VECTORS[:1], "where": _SCATTERED}, [50]),
        ("query", {"query_embeddings": VECTORS[:2], "where": _SCATTERED}, [50]),
        ("query", {"query_embeddings": VECTORS[:1], "where": {"n": {"$lt": 500}}, "exact": True}, [0]),
        ("query", {"query_embeddings": VECTORS[:1], "include": ["embeddings"]}, [10]),
        ("query", {"query_embeddings": VECTORS[:2], "include": ["embeddings"]}, [20]),
        ("query", {"query_embeddings": VECTORS[:1], "diversity": 0.5}, [50]),
        ("get", {"ids": ["i7"], "include": ["embeddings"]}, [1]),
        ("get", {"where": _SCATTERED, "include": ["embeddings"]}, [50]),
        ("get", {"limit": 1000, "include": ["embeddings"]}, [0]),
        ("update", {"ids": ["i7"], "embeddings": VECTORS[:1]}, [1]),
        ("upsert", {"ids": ["i8"], "embeddings": VECTORS[:1]}, [1]),
    ],
)
def test_few_vectors_of_a_file_beyond_memory_are_read_page_by_page(
    beyond_memory: tuple[Any, list[int]], method: str, asked: dict[str, Any], rows: list[int]
) -> None:
    collection, read = beyond_memory
    getattr(collection, method)(**asked)
    assert read == rows
