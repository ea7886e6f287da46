"""Metrics for Prometheus, at GET /metrics.

A single process keeps its metrics in memory. Several processes keep them in files that all can read, so
that any process can answer a scrape for all of them. See `shared`.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ...maintenance import backup_series
from ...storage.interface.values import EngineMetrics
from ..limits.thread_pool import Pool
from .request_context import Exchange

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library reads this variable when it is imported
REFRESH_SECONDS = 10.0  # the maximum age of the gauges of other processes

_log = logging.getLogger("chroma.server")

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Measured(Protocol):
    """The source of the engine's metrics."""

    def metrics(self) -> EngineMetrics: ...


@contextmanager
def shared() -> Iterator[None]:
    """Lets processes started in the `with` block share their metrics. Their folder is deleted after it."""
    with tempfile.TemporaryDirectory(prefix="chroma-metrics-") as folder:
        before = os.environ.get(FOLDER)
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[FOLDER]
            else:
                os.environ[FOLDER] = before


class Metrics:
    """The metrics of one server."""

    def __init__(self, backend: Measured, pool: Pool, path: str = "", backup_dir: str = "") -> None:
        self._path, self._backup_dir = path, backup_dir
        self._backend = backend
        self._pool = pool
        self.several = values.ValueClass is not values.MutexValue
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "chroma_http_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "chroma_http_request_duration_seconds", "From the head of a request to the end of its answer.",
            ("route",), buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._received = Counter("chroma_http_received_bytes", "Bytes of request bodies.", registry=registry)
        self._sent = Counter("chroma_http_sent_bytes", "Bytes of answers' bodies.", registry=registry)
        self._syncs = Counter("chroma_fsyncs", "Times that a process waited for the disk.", registry=registry)
        self._rejected = Counter(
            "chroma_calls_rejected", "Calls refused because too many waited.", registry=registry
        )
        # summed over processes, because each counts its own
        self._running = self._gauge("chroma_calls_running", "Calls in a thread.", "livesum")
        self._queued = self._gauge("chroma_calls_queued", "Calls that wait for a thread.", "livesum")
        # all processes see the same folder, but they may have different collections open
        self._engine = {
            name: self._gauge(f"chroma_{name}", text, "livemax")
            for name, text in (
                ("collections", "Collections in all databases."),
                ("open_collections", "Collections that are open; the next figures are sums over these."),
                ("rows", "Records."),
                ("deleted_rows", "Dead records whose room is not reclaimed yet."),
                ("segments", "Segments."),
                ("unindexed_rows", "Records that await an index; searches scan them meanwhile."),
                ("log_bytes", "Bytes of the logs being written."),
            )
        }
        self._folder_state = self._gauge(
            "chroma_folder_state",
            "2: the folder can be read and written. 1: only read. 0: neither.",
            "livemin",
        )
        self._disk = {
            name: self._gauge(f"chroma_disk_{name}", text, "livemax")
            for name, text in (
                ("size_bytes", "Size of the file system of the folder."),
                ("free_bytes", "What is free there for the server."),
            )
        }
        self._last_backup = (
            self._gauge("chroma_last_backup_timestamp_seconds", "End of the newest backup.", "livemax")
            if backup_dir
            else None
        )
        self._by_route: dict[str, Any] = {}
        self._by_answer: dict[tuple[str, str, int], Any] = {}
        self._syncs_seen = self._rejected_seen = 0
        self._refreshing = threading.Lock()  # scrapes may be concurrent, and counters can only be increased
        if not self.several:
            ProcessCollector(registry=registry)

    def _gauge(self, name: str, text: str, mode: Any) -> Gauge:
        return Gauge(name, text, registry=self._registry, multiprocess_mode=mode)

    def observe(self, seen: Exchange) -> None:
        """Count a finished request."""
        key = _method(seen.method), seen.route, seen.status
        count = self._by_answer.get(key)
        if count is None:
            count = self._by_answer[key] = self._requests.labels(key[0], key[1], str(key[2]))
        count.inc()
        seconds = self._by_route.get(seen.route)
        if seconds is None:
            seconds = self._by_route[seen.route] = self._seconds.labels(seen.route)
        seconds.observe(seen.seconds)
        if seen.received:
            self._received.inc(seen.received)
        if seen.sent:
            self._sent.inc(seen.sent)

    def refresh(self) -> None:
        """Update the metrics that are counted elsewhere."""
        with self._refreshing:
            self._refresh()

    def _refresh(self) -> None:
        metrics = self._backend.metrics()
        for name, value in (
            ("collections", metrics.collections), ("open_collections", metrics.open), ("rows", metrics.rows),
            ("deleted_rows", metrics.deleted), ("segments", metrics.segments),
            ("unindexed_rows", metrics.not_indexed), ("log_bytes", metrics.log_bytes),
        ):  # fmt: skip
            self._engine[name].set(value)
        if self._path:
            self._folder_state.set(folder_state(self._path))
            self._measure(self._measure_disk, *self._disk.values())
        if self._last_backup is not None:
            self._measure(self._measure_backups, self._last_backup)
        self._running.set(self._pool.running)
        self._queued.set(self._pool.queued)
        self._syncs.inc(metrics.syncs - self._syncs_seen)
        self._rejected.inc(self._pool.rejected - self._rejected_seen)
        self._syncs_seen, self._rejected_seen = metrics.syncs, self._pool.rejected

    def _measure(self, measure: Callable[[], None], *gauges: Gauge) -> None:
        """Set gauges. If the system refuses, they are NaN, and all other metrics are still answered."""
        try:
            measure()
        except OSError as error:
            _log.warning("a metric cannot be measured: %s", error)
            for gauge in gauges:
                gauge.set(float("nan"))

    def _measure_disk(self) -> None:
        disk = os.statvfs(self._path)
        self._disk["size_bytes"].set(disk.f_blocks * disk.f_frsize)
        self._disk["free_bytes"].set(disk.f_bavail * disk.f_frsize)

    def _measure_backups(self) -> None:
        assert self._last_backup is not None
        self._last_backup.set(backup_series.last(self._backup_dir))

    def text(self) -> bytes:
        """All metrics in Prometheus's text format, version 0.0.4."""
        self.refresh()
        return text_of_all() if self.several else generate_latest(self._registry)


def folder_state(path: str) -> int:
    """2: the folder can be read and written. 1: it can only be read. 0: neither."""
    if not os.access(path, os.R_OK | os.X_OK):
        return 0
    return 2 if os.access(path, os.W_OK) else 1


def text_of_all() -> bytes:
    """The metrics of all processes in the `with` block of `shared`, for a process that serves no requests."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def forget(process: int) -> None:
    """Remove the gauges of a process that has ended."""
    if FOLDER in os.environ:
        mark_process_dead(process)  # type: ignore[no-untyped-call]


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _method(sent: str) -> str:
    """The label for a request's method. Unknown methods share one label, so clients cannot create labels."""
    return sent if sent in _METHODS else "other"
