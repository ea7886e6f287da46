"""Which filters the graphs have missed: the only thing that plans learn from earlier queries.

Owns: graph back-off. After a miss, the next searches with this filter over this segment skip the graph.
Bounded, shared by all threads of a collection, and dropped with the segment.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from ..filters.parser import Node
from ..segments.snapshot import Snapshot

BACK_OFF = 8  # searches that skip the graph after a miss
_MOST = 64  # pairs of segment and filter; of more, the oldest are searched by graph again


class PlanHistory:
    """The graph back-off of one collection, by segment and filter."""

    def __init__(self) -> None:
        self._left: OrderedDict[tuple[str, Node], int] = OrderedDict()  # searches that skip the graph yet
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._left)

    def backs_off(self, segment: str, node: Node) -> bool:
        """Whether the next search skips the graph. Spares the hash of a large filter while nothing missed."""
        if not self._left:
            return False
        with self._lock:
            return (segment, node) in self._left

    def missed(self, segment: str, node: Node) -> None:
        """A graph search left too few allowed candidates."""
        with self._lock:
            self._left[segment, node] = BACK_OFF
            self._left.move_to_end((segment, node))
            if len(self._left) > _MOST:
                self._left.popitem(last=False)

    def skipped(self, segment: str, node: Node) -> None:
        """A search did without the graph because `backs_off` said so."""
        key = segment, node
        with self._lock:
            left = self._left.get(key, 0)  # another thread may have counted the last one
            if left > 1:
                self._left[key] = left - 1
            else:
                self._left.pop(key, None)

    def keep_only(self, snapshot: Snapshot) -> None:
        """Forget segments that are gone."""
        names = {view.source.name for view in snapshot.views}
        with self._lock:
            for key in [key for key in self._left if key[0] not in names]:
                del self._left[key]
