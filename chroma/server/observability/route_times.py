"""The times of each route in this process, for the console's page on the server."""

from __future__ import annotations

import time
from typing import Any

from .request_context import Exchange


class RouteTimes:
    """Counts finished requests by route. All calls come from the event loop's thread."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._found: dict[str, tuple[int, float, float]] = {}  # calls, seconds in all, seconds at most

    def observe(self, seen: Exchange) -> None:
        """Count a finished request."""
        calls, total, most = self._found.get(seen.route, (0, 0.0, 0.0))
        seconds = seen.seconds
        self._found[seen.route] = calls + 1, total + seconds, max(most, seconds)

    def uptime(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def routes(self) -> list[dict[str, Any]]:
        """The routes that were called, the one with the longest time in all first."""
        ordered = sorted(self._found.copy().items(), key=lambda item: -item[1][1])
        return [
            {"route": route, "calls": calls, "mean_ms": 1000 * total / calls, "max_ms": 1000 * most}
            for route, (calls, total, most) in ordered
            if route
        ]
