"""Graphs of merged segments are extended: to equal answers, within the limits of a build, or not at all."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.storage.collection import compaction, index_builds
from chroma.storage.index import graph_extension, graph_file, native_graph
from chroma.storage.memory_budget import DoesNotFit
from chroma.storage.segments.segment import Segment
from chroma.storage.vectors import pca

DIM = 16
VECTORS = np.random.default_rng(0).standard_normal((6000, DIM)).astype(np.float32)


@pytest.fixture(autouse=True)
def small_segments_get_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chroma.storage.collection.index_builds.INDEX_BYTES", 1000 * DIM * 4)
    monkeypatch.setattr("chroma.storage.collection.record_store.BULK_ROWS", 1000)
    monkeypatch.setattr("chroma.storage.collection.collection.QUIET_SECONDS", 1000.0)  # only `compact` merges


@pytest.fixture()
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How graphs were made, in order."""
    calls: list[str] = []

    def seen(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **how: Any) -> Any:
            out = call(*args, **how)
            if out is not None:
                calls.append(name)
            return out

        return run

    monkeypatch.setattr(graph_extension, "extend", seen("extended", graph_extension.extend))
    monkeypatch.setattr(native_graph, "build", seen("built", native_graph.build))
    return calls


def _ids(start: int, stop: int) -> list[str]:
    return [f"i{row}" for row in range(start, stop)]


def _filled(client: Any, rows: int = 3000, **hnsw: Any) -> Any:
    collection = client.create_collection(
        "things", embedding_function=None, configuration={"hnsw": {"space": "l2", **hnsw}}
    )
    collection.add(ids=_ids(0, rows), embeddings=VECTORS[:rows])
    collection.compact()
    return collection


def _add(collection: Any, start: int, stop: int) -> None:
    collection.add(ids=_ids(start, stop), embeddings=VECTORS[start:stop])


def _inner(collection: Any) -> Any:
    return collection._backend.engine._open[str(collection.id)]


def _recall(collection: Any) -> float:
    queries = VECTORS[::60] + 0.01
    exact = collection.query(query_embeddings=queries, n_results=10, exact=True)["ids"]
    (part,) = collection.query(query_embeddings=queries[:1], explain=True)["explain"].parts
    assert part.indexed
    fast = collection.query(query_embeddings=queries, n_results=10)["ids"]
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, fast, strict=True)]))


@pytest.mark.parametrize("space", ["l2", "cosine", "ip"])
def test_a_merge_extends_the_graph_of_the_largest_segment(
    tmp_path: Path, made: list[str], space: str
) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client, space=space)
        _add(collection, 3000, 4000)
        collection.delete(ids=_ids(100, 300))
        collection.upsert(ids=_ids(500, 520), embeddings=VECTORS[5000:5020])  # they keep their positions
        assert collection.get_indexing_status().op_indexing_progress < 1
        collection.compact()
        assert made == ["built", "extended"] and _recall(collection) >= 0.95
        assert collection.get_indexing_status().op_indexing_progress == 1
        assert client._backend.engine.services.budget.used() < 30 * 4000
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        assert _recall(collection) >= 0.95
        found = collection.query(query_embeddings=VECTORS[5000:5020], n_results=1)["ids"]
        assert space == "ip" or found == [[id] for id in _ids(500, 520)]
        near = collection.query(query_embeddings=VECTORS[500:520], n_results=5, include=["distances"])
        assert space != "l2" or min(line[0] for line in near["distances"]) > 0  # the old vectors are gone


def test_graphs_in_memory_are_extended(made: list[str]) -> None:
    client = chroma.EphemeralClient(private=True)
    collection = _filled(client)
    budget = client._backend.engine.services.budget
    before = budget.used()
    _add(collection, 3000, 3500)
    collection.delete(ids=_ids(0, 100))
    collection.compact()
    assert made == ["built", "extended"] and _recall(collection) >= 0.95
    assert before < budget.used() < 1.3 * before
    client.delete_collection("things")
    assert budget.used() == 0


def test_merges_before_the_graph_is_built_are_followed(tmp_path: Path, made: list[str]) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        for turn in range(3):
            _add(collection, 3000 + 300 * turn, 3300 + 300 * turn)
            collection.delete(ids=_ids(100 * turn, 100 * turn + 50))
            compaction.compact(_inner(collection).store, everything=True)
        assert list(_inner(collection).graphs._merged._kept)
        collection.compact()
        assert made == ["built", "extended"] and _recall(collection) >= 0.95
        assert not _inner(collection).graphs._merged._kept


def test_of_several_graphs_the_one_with_most_rows_is_extended(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    extend = graph_extension.extend

    def seen(source: Any, *args: Any, **how: Any) -> Any:
        sizes.append(source.data.rows)
        return extend(source, *args, **how)

    monkeypatch.setattr(graph_extension, "extend", seen)
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        _add(collection, 3000, 4500)
        inner = _inner(collection)
        compaction.compact(inner.store, everything=False)
        inner.graphs.build(inner.settings, urgent=True)
        assert made == ["built", "built"]
        collection.compact()
        assert sizes == [3000] and made == ["built", "built", "extended"] and _recall(collection) >= 0.95


def test_ten_extensions_one_after_the_other(tmp_path: Path, made: list[str]) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client, 2000)
        for start in range(2000, 4000, 200):
            _add(collection, start, start + 200)
            collection.compact()
        assert made == ["built", *["extended"] * 10] and _recall(collection) >= 0.95


# ---------------------------------------------------------------------------- built anew


def test_other_parameters_build_anew(tmp_path: Path, made: list[str]) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.modify(configuration={"hnsw": {"max_neighbors": 8}})
        _add(collection, 3000, 3500)
        collection.compact()
        assert made == ["built", "built"] and _recall(collection) >= 0.9


def test_many_deletions_build_anew(tmp_path: Path, made: list[str]) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        collection.delete(ids=_ids(0, int(3000 * graph_extension.MOST_REMOVED) + 1))
        collection.compact()
        assert made == ["built", "built"] and _recall(collection) >= 0.95


def test_a_process_that_did_not_merge_builds_anew(tmp_path: Path, made: list[str]) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        _add(collection, 3000, 3500)
        compaction.compact(_inner(collection).store, everything=True)
    assert not list(tmp_path.rglob("graph-*"))
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        collection.compact()
        assert made == ["built", "built"] and _recall(collection) >= 0.95


@pytest.mark.parametrize("damage", ["byte", "short", "missing"])
def test_a_damaged_graph_is_built_anew_and_the_log_says_why(
    tmp_path: Path, made: list[str], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        _filled(client)
    (file,) = tmp_path.rglob("graph-*")
    whole = bytearray(file.read_bytes())
    whole[-2000] ^= 1
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(whole if damage == "byte" else whole[:-64])
    with chroma.PersistentClient(tmp_path) as client:
        collection = client.get_collection("things", embedding_function=None)
        _add(collection, 3000, 3500)
        collection.compact()
        assert made == ["built", "built"] and _recall(collection) >= 0.95
    (said,) = [each for each in caplog.records if "extended" in each.getMessage()]
    assert "graph-" in said.getMessage() and said.levelno == logging.WARNING


def test_forged_links_are_not_followed(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    read = graph_file.read

    def forged(*args: Any, **how: Any) -> Any:
        data = read(*args, **how)
        return data._replace(links=np.full_like(data.links, 255))

    monkeypatch.setattr(graph_file, "read", forged)
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        _add(collection, 3000, 3500)
        collection.compact()
        assert made == ["built", "built"] and _recall(collection) >= 0.95
    assert "a link leads to a row that is not there" in caplog.text


# ---------------------------------------------------------------------------- limits and stops


def _limit(collection: Any, limit: int) -> Any:
    budget = collection._backend.engine.services.budget
    budget.limit = limit
    return budget


def test_an_extension_beyond_the_limit_is_a_build_or_nothing(
    tmp_path: Path, made: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        building = max(native_graph.building_bytes(3500, 16), pca.choosing_bytes(3500, DIM))
        for rows, limit, then in ((3500, building, "built"), (3600, building // 2, "none")):
            _add(collection, rows - (500 if then == "built" else 100), rows)
            budget = _limit(collection, limit)
            collection.compact()
            assert made[-1] == "built" and len(made) == 2
            assert budget.used() <= limit
        assert "cannot be extended" in caplog.text and "chroma_memory_limit_bytes" in caplog.text


def test_an_extension_reserves_what_it_takes(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        budget, most = client._backend.engine.services.budget, [0]
        extend = graph_extension.extend

        def seen(*args: Any, **how: Any) -> Any:
            most[0] = budget.used()
            return extend(*args, **how)

        monkeypatch.setattr(graph_extension, "extend", seen)
        _add(collection, 3000, 3500)
        collection.compact()
        assert made[-1] == "extended" and most[0] >= native_graph.building_bytes(3500, 16)
        assert budget.used() < 30 * 3500


def test_what_is_kept_for_an_extension_may_be_dropped(tmp_path: Path, made: list[str]) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        _add(collection, 3000, 3500)
        compaction.compact(_inner(collection).store, everything=True)
        graphs, budget = _inner(collection).graphs, client._backend.engine.services.budget
        assert graphs._merged._kept and budget.used() >= 4 * 3000
        limit = budget.limit
        _limit(collection, 100)
        budget.hold("something else", 100, lambda: None)
        assert not graphs._merged._kept
        budget.forget("something else")
        _limit(collection, limit)
        collection.compact()
        assert made == ["built", "built"] and _recall(collection) >= 0.95


def test_a_stopped_extension_is_done_by_the_next_build(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        _add(collection, 3000, 3500)
        inner = _inner(collection)
        compaction.compact(inner.store, everything=True)
        with monkeypatch.context() as patch:
            patch.setattr(type(inner.store.services.background), "stopping", lambda _: True)
            assert not inner.graphs.build(inner.settings, urgent=False)
        assert made == ["built"] and collection.get_indexing_status().op_indexing_progress == 0
        collection.compact()
        assert made == ["built", "extended"] and _recall(collection) >= 0.95


def test_a_compaction_that_fails_leaves_nothing_behind(
    tmp_path: Path, made: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise OSError("no space")

    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        _add(collection, 3000, 3500)
        store = _inner(collection).store
        with monkeypatch.context() as patch:
            patch.setattr("chroma.storage.manifest.Manifest.publish", fails)
            with pytest.raises(OSError, match="no space"):
                compaction.compact(store, everything=True)
        collection.compact()
        assert made == ["built", "extended"] and _recall(collection) >= 0.95
        assert not _inner(collection).graphs._merged._kept


def test_closing_forgets_what_was_kept(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        _add(collection, 3000, 3500)
        inner, budget = _inner(collection), client._backend.engine.services.budget
        compaction.compact(inner.store, everything=True)
        inner.graphs.release()
        assert not inner.graphs._merged._kept and budget.used() == 0


def _mapped(path: Path) -> int:
    """How many graph files of a database are mapped."""
    gc.collect()
    maps = Path("/proc/self/maps").read_text().splitlines()
    return len({line for line in maps if str(path) in line and "/graph-" in line})


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("reason", ["small", "too large", "built elsewhere"])
def test_what_no_build_takes_is_not_kept(tmp_path: Path, made: list[str], reason: str) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client, 1200)
        inner, budget = _inner(collection), client._backend.engine.services.budget
        if reason == "small":
            collection.delete(ids=_ids(0, 300))
        else:
            _add(collection, 1200, 1400)
        compaction.compact(inner.store, everything=True)
        (view,) = inner.store.snapshot().views
        if reason == "too large":
            inner.graphs._leave_out(view.source, DoesNotFit(1, 0))
        elif reason == "built elsewhere":
            script = f"""
import chroma
from chroma.storage.collection import index_builds
index_builds.INDEX_BYTES = 1
with chroma.PersistentClient({str(tmp_path)!r}) as client:
    client.get_collection("things", embedding_function=None).compact()
"""
            subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
            inner.store.refresh()
        assert not inner.graphs._merged._kept and budget.used() == 0
        assert not _mapped(tmp_path)


def test_a_build_that_is_stopped_by_closing_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        _add(collection, 3000, 3500)
        inner, budget = _inner(collection), client._backend.engine.services.budget
        compaction.compact(inner.store, everything=True)

        def closed(*_: Any, **__: Any) -> None:
            monkeypatch.setattr(type(inner.store.services.background), "stopping", lambda _: True)
            inner.graphs.release()

        with monkeypatch.context() as patch:
            patch.setattr(graph_extension, "extend", closed)
            assert not inner.graphs.build(inner.settings, urgent=False)
        assert not inner.graphs._merged._kept and budget.used() == 0


def test_without_the_compiled_part_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        collection = _filled(client)
        _add(collection, 3000, 3500)
        monkeypatch.setattr(index_builds.kernel, "graph", None)
        compaction.compact(_inner(collection).store, everything=True)
        assert not _inner(collection).graphs._merged._kept


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("place", ["disk", "memory"])
def test_a_forked_child_has_a_graph_of_its_own_merge_or_of_its_parents(tmp_path: Path, place: str) -> None:
    opened = f"chroma.PersistentClient({str(tmp_path)!r})" if place == "disk" else "chroma.EphemeralClient()"
    script = f"""
import os, sys, warnings, chroma
import numpy as np
from chroma.storage.collection import collection as of_chroma, compaction, index_builds, record_store
warnings.simplefilter("ignore")
index_builds.INDEX_BYTES, record_store.BULK_ROWS, of_chroma.QUIET_SECONDS = 1, 100, 1000.0
vectors = np.random.default_rng(0).standard_normal((3000, 8)).astype("f4")
client = {opened}
things = client.create_collection("things", embedding_function=None)
def add(start, stop):
    things.add(ids=[str(row) for row in range(start, stop)], embeddings=vectors[start:stop])
def check(count):
    things.compact()
    assert things.get_indexing_status().op_indexing_progress == 1
    found = things.query(query_embeddings=vectors[:count:50], n_results=1)["ids"]
    assert np.mean([ids == [str(row)] for ids, row in zip(found, range(0, count, 50))]) > 0.95
add(0, 2000)
check(2000)
add(2000, 2500)
inner = things._backend.engine._open[str(things.id)]
compaction.compact(inner.store, everything=True)  # what is kept for the extension is the parent's
pid = os.fork()
if pid == 0:
    check(2500)
    add(2500, 2600)
    check(2600)
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
add(2600, 3000)
check(2500)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_merge_gives_the_pages_of_its_sources_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the merged vectors, those of one source are memory of the process, not those of all."""
    given_back: list[int] = []
    evict = Segment.evict_vectors

    def seen(self: Segment) -> None:
        given_back.append(self.rows)
        evict(self)

    with chroma.PersistentClient(tmp_path) as client:
        collection = client.create_collection("things", embedding_function=None)
        for start in (0, 1500, 3000):
            collection.add(ids=_ids(start, start + 1500), embeddings=VECTORS[start : start + 1500])
        monkeypatch.setattr(index_builds.Graphs, "build", lambda *_, **__: True)
        monkeypatch.setattr(Segment, "evict_vectors", seen)
        collection.compact()
        assert given_back == [1500, 1500, 1500] and collection.count() == 4500


def test_segments_stay_so_small_that_their_graphs_can_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str]
) -> None:
    """One segment of all rows would have no graph, and all searches would compare all rows."""
    monkeypatch.setattr(index_builds, "FEWEST_ROWS", 100)
    row = native_graph.building_bytes(1 << 18, 16) / (1 << 18) + DIM
    # what choosing a projection takes is more, of few vectors
    limit = max(int(3200 * row / 0.9), pca.choosing_bytes(3000, DIM))
    monkeypatch.setattr(index_builds, "_SHARE_OF_LIMIT", 3200 * row / limit)
    settings = chroma.Settings(chroma_memory_limit_bytes=limit)
    with chroma.PersistentClient(tmp_path, settings=settings) as client:
        collection = client.create_collection("things", embedding_function=None)
        for start in range(0, 6000, 1500):
            collection.add(ids=_ids(start, start + 1500), embeddings=VECTORS[start : start + 1500])
        collection.compact()
        assert collection.info().segments == 2 and made == ["built", "built"]
        assert collection.get_indexing_status().op_indexing_progress == 1.0
        assert collection.recall() > 0.9
        assert collection.get(limit=3, offset=2999)["ids"] == _ids(2999, 3002)
        before = sorted(path.name for path in tmp_path.rglob("seg-*"))
        collection.compact()
        assert sorted(path.name for path in tmp_path.rglob("seg-*")) == before  # nothing is rewritten
        collection.delete(ids=_ids(0, 100))
        collection.compact()
        assert collection.info().deleted == 0 and collection.count() == 5900
        assert collection.get()["ids"] == _ids(100, 6000)
