"""A record of the filters that graph searches missed. Plans learn nothing else from earlier queries.

Owns: graph back-off. After a miss, the next searches of this segment with this filter skip the graph. The
history is bounded and shared by all threads of a collection. Its entries are dropped with their segment.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from ..filters.parser import Node
from ..segments.snapshot import Snapshot

BACK_OFF = 8  # the number of searches that skip the graph after a miss
_MOST = 64  # the most pairs of segment and filter; beyond it, the oldest pairs use the graph again


class PlanHistory:
    """The graph back-off of one collection, by segment and filter."""

    def __init__(self) -> None:
        self._left: OrderedDict[tuple[str, Node], int] = OrderedDict()  # searches that still skip the graph
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._left)

    def backs_off(self, segment: str, node: Node) -> bool:
        """Whether the next search skips the graph. Does not hash the filter while the history is empty."""
        if not self._left:
            return False
        with self._lock:
            return (segment, node) in self._left

    def missed(self, segment: str, node: Node) -> None:
        """Record a miss: a graph search left too few allowed candidates."""
        with self._lock:
            self._left[segment, node] = BACK_OFF
            self._left.move_to_end((segment, node))
            if len(self._left) > _MOST:
                self._left.popitem(last=False)

    def skipped(self, segment: str, node: Node) -> None:
        """Record that a search skipped the graph because of `backs_off`."""
        key = segment, node
        with self._lock:
            left = self._left.get(key, 0)  # another thread may have removed the entry
            if left > 1:
                self._left[key] = left - 1
            else:
                self._left.pop(key, None)

    def keep_only(self, snapshot: Snapshot) -> None:
        """Forget the segments that the snapshot no longer has."""
        names = {view.source.name for view in snapshot.views}
        with self._lock:
            for key in [key for key in self._left if key[0] not in names]:
                del self._left[key]
