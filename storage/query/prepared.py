"""A prepared search: the plan of a query, kept for the same query of another vector.

Owns: which queries may have one, and running a kept plan. Such a query has one vector and no option, and the
collection is one segment with a graph. All other queries are planned by planner.py each time.
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import numpy as np

from ..filters.parser import Node
from ..filters.row_set import RowSet
from ..index.graph import Damaged, Graph, SearchParameters
from ..interface.requests import QueryRequest
from ..interface.values import Field, Floats, Hits
from ..segments.snapshot import SegmentView, SelectedRows, Snapshot, read_one
from . import executor
from .planner import FilteredGraphSearch, GraphSearch, Plan, ScanCodes

_OPTIONS = QueryRequest(vectors=np.empty((0, 0), np.float32), k=1)[4:]  # all that follows `fields`


class PreparedSearch(NamedTuple):
    """The plan of a query over one snapshot. What may be freed meanwhile is referred to weakly.

    ef       the collection's `ef_search`, which the plan follows
    vectors  the stored vectors, which rank the candidates
    codes    whether the plan compares codes instead of walking through the graph
    minimum  how many candidates it has to find
    fallback the plan if it finds fewer
    allowed  the rows that match; None: all
    """

    k: int
    fields: frozenset[Field]
    node: Node
    ef: int
    snapshot: Snapshot
    view: SegmentView
    vectors: Floats
    parameters: SearchParameters
    codes: bool
    minimum: int
    fallback: Plan
    graph: weakref.ref[Graph]
    allowed: weakref.ref[RowSet] | None

    def fits(self, search: executor.Search, snapshot: Snapshot) -> bool:
        """Whether this is the plan for a search of one vector without options."""
        request = search.request
        return (
            snapshot is self.snapshot
            and search.node == self.node
            and request.k == self.k
            and request.fields == self.fields
            and search.ef == self.ef
        )

    def run(self, search: executor.Search, source: executor.Source) -> Hits | None:
        """Find and read the nearest records to one query. None: it has to be planned anew."""
        view, graph, allowed = self.view, self.graph(), None
        if graph is None or source.graph_of(view) is not graph:
            return None
        if self.allowed is not None and (allowed := self.allowed()) is None:
            return None
        ask = graph.scan if self.codes else graph.search
        try:
            found = ask(search.request.vectors, self.vectors, self.parameters, allowed, 1)
        except Damaged:
            return None  # the search that follows meets the damage again, and reports it
        candidates, rows, distances = found.counts[0, 0], found.rows[0], found.distances[0]
        if candidates < self.minimum:
            part = executor.SearchablePart(search, view, graph, allowed, source.report_damage)
            rows, distances = executor.execute(self.fallback, part, search.request.vectors[0])
        elif candidates < len(rows):
            rows, distances = rows[:candidates], distances[:candidates]
        # Ties are in the order of rows. In a segment, which alone has a graph, it is that of positions.
        return Hits(read_one(SelectedRows(view, rows), self.fields), distances)


def has_options(request: QueryRequest) -> bool:
    """Whether a request is for more than the nearest records."""
    return request[4:] != _OPTIONS


def prepare(search: executor.Search, snapshot: Snapshot, source: executor.Source) -> PreparedSearch | None:
    """Plan a search of one vector without options. None: there are several segments, or it is exact."""
    views = [view for view in snapshot.views if view.live]
    if len(views) != 1:
        return None
    part = executor.searchable(search, views[0], source)
    chosen = executor.plan_of(part)
    if part.graph is None or not isinstance(chosen, (GraphSearch, FilteredGraphSearch, ScanCodes)):
        return None
    return PreparedSearch(
        k=search.request.k,
        fields=search.request.fields,
        node=search.node,
        ef=search.ef,
        snapshot=snapshot,
        view=part.view,
        vectors=executor.vectors_for(part.graph, part.view),
        parameters=executor.parameters_of(chosen, part),
        codes=isinstance(chosen, ScanCodes),
        minimum=chosen.minimum,
        fallback=chosen.fallback,
        graph=weakref.ref(part.graph),
        allowed=None if part.allowed is None else weakref.ref(part.allowed),
    )
