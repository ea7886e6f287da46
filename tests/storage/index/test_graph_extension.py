"""Extended graphs: as good as built ones, every row can be reached, and no damaged link is followed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma.storage.index import graph_extension, native_graph
from chroma.storage.index.graph import Damaged, GraphData, SearchParameters, link_bytes
from chroma.storage.index.graph_extension import GONE, NotExtended, Source, extend
from chroma.storage.index.native_graph import NativeGraph
from chroma.storage.native import kernel
from chroma.storage.native.threads import in_threads
from chroma.storage.vectors import distance, pca
from chroma.storage.vectors.distance import Space

from .shared import DIM, VECTORS, native_data, patches, scratch, unreachable

SPACES: list[Space] = ["l2", "cosine", "ip"]
SMALL = patches(2000, 8, 24)


def _source(data: GraphData, kept: Any) -> Source:
    """The rows that are kept come first, in their order."""
    rows = np.full(data.rows, GONE, np.uint32)
    rows[kept] = np.arange(len(kept))
    return Source(data, rows)


def _extended(source: Source, vectors: Any, **how: Any) -> GraphData:
    data = source.data
    given = {"neighbors": data.neighbors, "ef_construction": data.ef_construction, "threads": 2}
    made = extend(source, vectors, stopped=lambda: False, scratch=scratch, **{**given, **how})
    assert made is not None
    return made


def _recall(data: GraphData, vectors: Any) -> float:
    queries = vectors[::40] + np.float32(0.01)
    graph = NativeGraph(data, vectors.shape[1], mapped=False)
    found = graph.search(queries, vectors, SearchParameters(10, 60, 30), None, 1).rows
    right = [
        distance.ranked(data.space, query, vectors, rows=np.arange(len(vectors)), k=10)[0]
        for query in queries
    ]
    return float(np.mean([len(set(one) & set(two)) / 10 for one, two in zip(found, right, strict=True)]))


def _check(data: GraphData) -> None:
    """Check that each row can be reached, and that all links are as the search expects them."""
    assert unreachable(data) == 0
    size = link_bytes(data.rows)
    wide = np.zeros((int(data.counts.sum()), 4), np.uint8)
    wide[:, :size] = data.links.reshape(-1, size)
    targets = wide.view(np.uint32).reshape(-1)
    owners = np.repeat(np.arange(data.rows), data.counts)
    assert (targets < data.rows).all() and (targets != owners).all()
    assert len(np.unique(owners * data.rows + targets)) == len(targets)
    assert int(data.counts.max()) <= 2 * data.neighbors
    assert data.levels[data.entry] == data.levels.max()
    layers = [(row, layer) for row, top in enumerate(data.levels) for layer in range(1, int(top) + 1)]
    assert len(layers) == len(data.upper)
    for (row, layer), line in zip(layers, data.upper, strict=True):
        there = line[1 : 1 + line[0]]
        assert line[0] <= data.neighbors and row not in there and (data.levels[there] >= layer).all()


@pytest.mark.parametrize("space", SPACES)
def test_new_rows_and_removed_ones_leave_the_recall_of_a_build(space: Space) -> None:
    data, random = native_data(space, VECTORS[:7500]), np.random.default_rng(1)
    kept = np.flatnonzero(random.random(7500) > 0.1)
    vectors = np.concatenate([VECTORS[kept], VECTORS[7500:]])
    made = _extended(_source(data, kept), vectors)
    _check(made)
    assert _recall(made, vectors) >= _recall(native_data(space, vectors), vectors) - 0.01


def test_rows_that_are_only_removed_and_rows_that_are_only_added() -> None:
    data = native_data("l2", SMALL[:1500])
    for kept, vectors in (
        (np.arange(0, 1500, 2)[:0], None),
        (np.flatnonzero(np.arange(1500) % 5 > 0), SMALL[:1500][np.arange(1500) % 5 > 0]),
        (np.arange(1500), SMALL),
        (np.arange(1500), SMALL[:1500]),
    ):
        if vectors is None:
            with pytest.raises(NotExtended, match="0 of its 1500 rows"):
                _extended(_source(data, kept), SMALL)
            continue
        made = _extended(_source(data, kept), vectors)
        _check(made)
        assert _recall(made, vectors) >= 0.97


def test_rows_that_stay_keep_their_links_and_codes() -> None:
    data = native_data("l2", SMALL[:1500])
    made = _extended(_source(data, np.arange(1500)), SMALL[:1500])
    assert made.codes is not None and data.codes is not None
    for name in ("counts", "links", "levels", "upper", "codes", "entry", "sums"):
        assert np.array_equal(getattr(made, name), getattr(data, name)), name


def test_rows_may_move_past_each_other() -> None:
    data, random = native_data("cosine", SMALL[:1500]), np.random.default_rng(2)
    places = random.permutation(2000).astype(np.uint32)
    vectors = np.empty_like(SMALL)
    vectors[places] = SMALL
    made = _extended(Source(data, places[:1500]), vectors)
    _check(made)
    assert _recall(made, vectors) >= 0.97


def test_the_row_at_which_searches_began_and_all_around_it_may_be_removed() -> None:
    data = native_data("l2", SMALL)
    near = np.argsort(((SMALL - SMALL[data.entry]) ** 2).sum(axis=1))
    kept = np.sort(near[400:])
    made = _extended(_source(data, kept), SMALL[kept])
    _check(made)
    assert _recall(made, SMALL[kept]) >= 0.97


def test_a_group_whose_neighbours_are_all_removed_is_found() -> None:
    """Rows that link to each other, and to removed rows: those lose most of their links."""
    random = np.random.default_rng(3)
    group = (SMALL.max(axis=0) * 2 + random.standard_normal((300, 24))).astype(np.float32)
    vectors = np.concatenate([SMALL[:1700], group])
    data = native_data("l2", vectors)
    kept = np.concatenate([np.arange(1700), np.arange(1700, 2000, 10)])
    made = _extended(_source(data, kept), vectors[kept])
    _check(made)
    graph = NativeGraph(made, 24, mapped=False)
    hits = graph.search(group[:1], vectors[kept], SearchParameters(10, 60, 30), None, 1)
    assert (hits.rows >= 1700).all()


@pytest.mark.parametrize("seed", range(6))
def test_any_changes_one_after_the_other(seed: int) -> None:
    random = np.random.default_rng(seed)
    space = SPACES[seed % 3]
    vectors = patches(5000, 6, 16)[random.permutation(5000)]
    vectors[random.integers(0, 5000, 400)] = vectors[0]  # copies
    ids, first = np.arange(600), 600
    data = native_data(space, vectors[ids], neighbors=int(random.choice([2, 5, 16])))
    for _ in range(5):
        if random.random() < 0.5:
            kept = random.random(len(ids)) > random.random() * 0.3
        else:  # near to each other
            order = np.argsort(((vectors[ids] - vectors[ids[0]]) ** 2).sum(axis=1))
            kept = np.ones(len(ids), np.bool_)
            kept[order[: int(random.random() * 0.3 * len(ids))]] = False
        added = int(random.integers(0, 500))
        new = np.concatenate([ids[kept], np.arange(first, first + added)])
        order = random.permutation(len(new))
        rows = np.full(len(ids), GONE, np.uint32)
        rows[kept] = np.argsort(order)[: int(kept.sum())]
        ids, first = new[order], first + added
        data = _extended(Source(data, rows), vectors[ids])
        _check(data)
        everything = NativeGraph(data, 16, mapped=False).search(
            vectors[ids[:1]], vectors[ids], SearchParameters(len(ids), len(ids), len(ids)), None, 1
        )
        # A search begins at the nearest row of the upper layers. With inner products, not all ways lead back.
        assert len(set(everything.rows[0].tolist()) - {-1}) >= len(ids) * (0.98 if space == "ip" else 1)


def test_one_thread_extends_to_the_same_graph_each_time() -> None:
    source = _source(native_data("l2", SMALL[:1500], threads=1), np.arange(100, 1500))
    one, other = (_extended(source, SMALL[100:], threads=1) for _ in range(2))
    for name in ("counts", "links", "levels", "upper", "codes", "entry"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("calls", range(9))
def test_a_stopped_extension_gives_nothing(calls: int) -> None:
    answers = iter([False] * calls)
    source = _source(native_data("l2", SMALL[:1500]), np.arange(1500))
    made = extend(
        source, SMALL, neighbors=16, ef_construction=100, threads=2, stopped=lambda: next(answers, True),
        scratch=scratch,
    )  # fmt: skip
    assert made is None


def test_what_is_not_worthwhile_or_was_built_otherwise_is_refused() -> None:
    data = native_data("l2", SMALL[:1500])
    some = np.arange(int(1500 * graph_extension.MOST_REMOVED) + 2, 1500)
    with pytest.raises(NotExtended, match=f"{len(some)} of its 1500 rows"):
        _extended(_source(data, some), SMALL[some])
    for other in ({"neighbors": 8}, {"ef_construction": 101}):
        with pytest.raises(NotExtended, match="other parameters"):
            _extended(_source(data, np.arange(1500)), SMALL, **other)


def test_new_rows_that_codes_would_confuse_are_refused() -> None:
    odd = SMALL[1500:].copy()
    odd[:, 0] = 1e4  # all else is lost in a 127th of this
    vectors = np.concatenate([SMALL[:1500], np.tile(odd, (3, 1)) * np.float32(1.0001)])
    vectors[1500:] += np.random.default_rng(0).standard_normal((1500, 24)).astype(np.float32)
    with pytest.raises((NotExtended, native_graph.CodesDoNotFit)):
        _extended(_source(native_data("l2", SMALL[:1500]), np.arange(1500)), vectors)


def test_new_rows_of_other_directions_get_another_projection() -> None:
    first, second = patches(8500, 12), patches(2000, 60)
    data = native_data("l2", first)
    vectors = np.concatenate([first, 3 * second])
    made, fresh = _extended(_source(data, np.arange(8500)), vectors), native_data("l2", vectors)
    assert data.projection is not None
    kept = [DIM if each.projection is None else each.projection.kept for each in (data, made, fresh)]
    assert kept[0] < kept[1] and kept[1] >= kept[2]
    _check(made)
    assert _recall(made, vectors) >= _recall(fresh, vectors) - 0.02


def test_a_small_graph_that_becomes_large_is_projected(monkeypatch: pytest.MonkeyPatch) -> None:
    data = native_data("l2", VECTORS[:8000])
    assert data.projection is None
    assert _extended(_source(data, np.arange(8000)), VECTORS).projection is not None


def test_a_projection_that_is_far_larger_than_needed_is_given_up() -> None:
    choice = pca.choose("l2", VECTORS, coded=True)
    assert choice is not None and choice.projection is not None
    kept = choice.projection.kept
    matrix = np.linalg.qr(np.random.default_rng(0).standard_normal((DIM, DIM)))[0].astype(np.float32)
    matrix[:, :kept] = choice.projection.matrix  # the first columns suffice
    for more, good in ((0, True), (16, True), (64, False)):
        wider = pca.Projection(np.ascontiguousarray(matrix[:, : kept + more]), 0.0)
        judged = pca.judge("l2", VECTORS, wider)
        assert judged is not None and judged.coded is good
    narrow = pca.Projection(np.ascontiguousarray(matrix[:, : kept - 16]), 0.0)
    judged = pca.judge("l2", VECTORS, narrow)
    assert judged is not None and not judged.coded


def test_the_floor_of_a_projection_is_that_of_the_new_vectors() -> None:
    data = native_data("l2", VECTORS)
    assert data.projection is not None
    choice = pca.judge("l2", VECTORS[:8500], data.projection)
    assert choice is not None and choice.coded and choice.projection is not None
    assert choice.projection.matrix is data.projection.matrix
    both = VECTORS[:8500], choice.projection.apply(VECTORS[:8500])
    whole, left = ((each**2).sum(axis=1) for each in both)
    assert (left < choice.projection.floor * whole).mean() <= 0.001


# ---------------------------------------------------------------------------- damage


def test_links_that_lead_nowhere_are_damage() -> None:
    data = native_data("l2", SMALL[:1500])
    lost = data.links.copy().view(np.uint16)
    lost[1000:] = 1500
    upper, full, low = data.upper.copy(), data.upper.copy(), data.upper.copy()
    upper[:, 1] = 1500
    full[:, 0] = 17
    low[:, 1] = np.flatnonzero(data.levels == 0)[0]
    for change in ({"links": lost.view(np.uint8)}, {"upper": upper}, {"upper": full}, {"upper": low}):
        for kept in (np.arange(1500), np.arange(0, 1200)):
            with pytest.raises(Damaged):
                _extended(_source(data._replace(**change), kept), SMALL)


def test_arrays_that_do_not_fit_each_other_are_refused() -> None:
    data = native_data("l2", SMALL[:1500])
    for change in ({"counts": data.counts + np.uint8(1)}, {"upper": data.upper[:-1]}, {"entry": 1500}):
        with pytest.raises(Damaged):
            _extended(_source(data._replace(**change), np.arange(1500)), SMALL)


def _builder(levels: Any, ground: Any = None) -> Any:
    assert kernel.graph is not None
    data = native_data("l2", SMALL[:100])
    return kernel.graph.Builder(
        "l2", data.codes, np.zeros((100, 33), np.uint32) if ground is None else ground, levels,
        np.zeros((int(levels.sum()), 17), np.uint32), 24, 16, 50, -1,
    )  # fmt: skip


def test_arguments_of_the_compiled_part_that_do_not_fit_are_refused() -> None:
    data = native_data("l2", SMALL[:100])
    graph, rows = NativeGraph(data, 24, mapped=True)._graph, np.arange(100, dtype=np.uint32)
    builder, reached = _builder(data.levels), np.full(100, GONE, np.uint32)
    with pytest.raises(ValueError, match="no rows yet"):
        builder.connect(rows, reached)
    builder.adopt(graph, rows, 0, 100)
    for wrong in (
        (graph, rows[:-1], 0, 1), (graph, rows, -1, 1), (graph, rows, 0, 101), (None, rows, 0, 1),
        (graph, rows.astype(np.int64), 0, 1), (graph, rows, 0), (graph, rows + 1, 0, 100),
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            builder.adopt(*wrong)
    with pytest.raises(ValueError, match="in other layers"):
        _builder(np.where(data.levels, 0, data.levels)).adopt(graph, rows, 0, 100)
    for lines in (np.array([100], np.uint32), rows.astype(np.float32), rows.reshape(10, 10), None):
        with pytest.raises((ValueError, TypeError, IndexError)):
            builder.insert(lines)
        with pytest.raises((ValueError, TypeError, IndexError)):
            builder.connect(lines, reached)
    with pytest.raises(ValueError, match="reached"):
        builder.connect(rows, reached[:-1])


def test_a_row_that_is_inserted_again_is_linked_once() -> None:
    data = native_data("l2", SMALL[:100])
    builder = _builder(data.levels)
    for _ in range(3):
        builder.insert(np.arange(100, dtype=np.uint32))
    reached = np.full(100, GONE, np.uint32)
    builder.connect(np.arange(100, dtype=np.uint32), reached)
    assert (reached < 100).all()


def _linked(points: Any, lists: Any, ef: int) -> tuple[Any, Any]:
    """A builder of points on a line, whose ground layer has these lists of links, and these lists."""
    assert kernel.graph is not None
    count, links = len(points), max(map(len, lists))
    codes = np.empty((count, kernel.graph.code_bytes(1)), np.uint8)
    kernel.graph.encode("l2", np.array(points, np.float32).reshape(count, 1), codes)
    ground = np.zeros((count, links + 1), np.uint32)
    for row, line in enumerate(lists):
        ground[row, : len(line) + 1] = len(line), *line
    upper = np.empty((0, links // 2 + 1), np.uint32)
    levels = np.zeros(count, np.uint8)
    return kernel.graph.Builder("l2", codes, ground, levels, upper, 1, links // 2, ef, 0), ground


def _reachable(ground: Any) -> set[int]:
    found, waiting = {0}, [0]
    while waiting:
        line = ground[waiting.pop()]
        new = set(line[1 : 1 + line[0]].tolist()) - found
        found |= new
        waiting += new
    return found


def test_a_row_without_a_way_replaces_a_link_that_can_be_spared() -> None:
    """Where all rows near it have as many links as they may."""
    lists = [[1, 2], [0, 2], [1, 3], [2, 4], [3, 2], [4]]
    builder, ground = _linked([1, 2, 3, 4, 5, 6], lists, ef=10)
    assert graph_extension._connect(builder, 6, lambda: False)
    assert ground[4].tolist() == [2, 3, 5]  # the nearest row, and its farthest link
    assert _reachable(ground) == set(range(6))


@pytest.mark.parametrize("seed", range(20))
def test_every_row_has_a_way_though_all_lists_are_full(seed: int) -> None:
    random = np.random.default_rng(seed)
    lists = [[*{*random.choice(200, 4, replace=False).tolist()} - {row}] for row in range(300)]
    builder, ground = _linked(random.permutation(300) + 1, lists, ef=20)
    before = _reachable(ground)
    assert len(before) <= 200
    assert graph_extension._connect(builder, 300, lambda: False)
    assert _reachable(ground) == set(range(300))


def test_a_graph_with_rows_without_a_way_is_built_anew() -> None:
    lists = [[1, 2], [0, 2], [0, 1], [0, 1]]
    builder, _ = _linked(
        [10, 1, 2, 10.1], lists, ef=1
    )  # only the first row is looked at, and all depends on it
    with pytest.raises(NotExtended, match="no way leads to 1 of its 4 rows"):
        graph_extension._connect(builder, 4, lambda: False)


def test_rows_that_threads_insert_again_keep_lists_without_repetition() -> None:
    """A thread gives a row its new links while others link the row."""
    data = native_data("l2", SMALL[:100])
    ground = np.zeros((100, 33), np.uint32)
    builder = _builder(data.levels, ground)
    rows = np.tile(np.arange(100, dtype=np.uint32), 20)

    def insert(part: slice) -> None:
        builder.insert(rows[part])

    for _ in range(20):
        in_threads(insert, len(rows), 4)
        for line in ground:
            targets = line[1 : 1 + line[0]].tolist()
            assert len(set(targets)) == len(targets)
