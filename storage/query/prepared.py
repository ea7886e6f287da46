"""A prepared search: the plan of a plain query, kept until the collection changes.

Owns: which queries are plain, and running a kept plan. A plain query has one vector and no filter, and the
collection is one segment with a graph and without deleted rows. All other queries are planned by planner.py
each time, and so is a plain one for which the kept plan finds too few rows.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np

from ..index.graph import Damaged, Graph, SearchParameters
from ..interface.requests import QueryRequest
from ..interface.values import Floats, Hits
from ..segments.snapshot import SegmentView, SelectedRows, Snapshot, read_one
from . import executor
from .planner import GraphSearch

# What a plain request leaves out: its `selection`, and everything after `fields`.
_DEFAULTS = QueryRequest(vectors=np.empty((0, 0), np.float32), k=1)
_SELECTION, _OPTIONS = _DEFAULTS.selection, _DEFAULTS[4:]


class PreparedSearch(NamedTuple):
    """The plan of a plain query over one snapshot.

    request  the request without its vectors
    ef       the collection's `ef_search`, which the plan follows
    vectors  the stored vectors, which rank the candidates
    minimum  how many candidates the graph has to find
    graph    refers weakly to the graph, so that a graph that was closed is freed
    """

    request: tuple[Any, ...]
    ef: int
    snapshot: Snapshot
    view: SegmentView
    vectors: Floats
    parameters: SearchParameters
    minimum: int
    graph: weakref.ref[Graph]

    def fits(self, request: QueryRequest, ef: int, snapshot: Snapshot) -> bool:
        """Whether this is the plan for a request."""
        return (
            snapshot is self.snapshot
            and request[1:] == self.request
            and ef == self.ef
            and request.vectors.shape == (1, self.vectors.shape[1])
        )

    def run(self, queries: Floats, source: executor.Source) -> Hits | None:
        """Find and read the nearest records to a query (1, dim). None: this plan does not find them all."""
        view, graph = self.view, self.graph()
        if graph is None or source.graph_of(view) is not graph:
            return None
        try:
            found = graph.search(queries, self.vectors, self.parameters, None, 1)
        except Damaged:
            return None  # the search that follows meets the damage again, and reports it
        distances = found.distances[0]
        if found.counts[0, 0] < self.minimum or len(set(distances.tolist())) < len(distances):
            return None  # too few, or ties, whose order the executor knows
        return Hits(read_one(SelectedRows(view, found.rows[0]), self.request[2]), distances)


def is_plain(request: QueryRequest) -> bool:
    """Whether a request has one vector, and neither a filter nor an option."""
    return len(request.vectors) == 1 and request.selection is _SELECTION and request[4:] == _OPTIONS


def prepare(search: executor.Search, snapshot: Snapshot, source: executor.Source) -> PreparedSearch | None:
    """Make the plan of a plain query, to keep it. None: more than one segment, or rows without a graph."""
    request = search.request
    views = [view for view in snapshot.views if view.live]
    if len(views) != 1 or views[0].tombstones is not None:
        return None
    part = executor.searchable(search, views[0], source)
    chosen = executor.plan_of(part)
    if part.graph is None or not isinstance(chosen, GraphSearch):
        return None
    return PreparedSearch(
        request=request[1:],
        ef=search.ef,
        snapshot=snapshot,
        view=part.view,
        vectors=executor.vectors_for(part.graph, part.view),
        parameters=executor.parameters_of(chosen, part),
        minimum=chosen.minimum,
        graph=weakref.ref(part.graph),
    )
