"""GET /metrics: what is counted, and by whom when there are several processes."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from chroma.server.observability.metrics import Metrics, folder_state
from chroma.storage.interface.values import EngineMetrics
from tests.support import server

from .conftest import DATABASE, Api

QUERY = "/api/v2/tenants/{tenant}/databases/{database}/collections/{collection}/query"
ADD = QUERY.replace("query", "add")


def metrics(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def scrape(api: Api) -> dict[Any, float]:
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return metrics(answer.text)


def requests(route: str, status: int, method: str = "POST") -> Any:
    labels = (("method", method), ("route", route), ("status", str(status)))
    return "chroma_http_requests_total", labels


def test_requests_are_counted_by_route(api: Api, things: str) -> None:
    before = scrape(api)
    asked = {"query_embeddings": [[1, 2]]}
    answers = [api.post(f"{things}/query", body) for body in (asked, asked, asked, {})]
    api.get("/nothing/here")
    api.request("HEAD", "/api/v2")
    after = scrape(api)
    assert after[requests(QUERY, 200)] == 3
    assert after[requests(QUERY, 422)] == 1
    assert after[requests("", 404, "GET")] == 1
    assert after[requests("/api/v2", 200, "HEAD")] == 1
    assert after["chroma_http_request_duration_seconds_count", (("route", QUERY),)] == 4
    assert 0 < after["chroma_http_request_duration_seconds_sum", (("route", QUERY),)] < 60
    sent, received = "chroma_http_sent_bytes_total", "chroma_http_received_bytes_total"
    assert after[received, ()] - before[received, ()] == sum(
        len(answer.request.content) for answer in answers
    )
    assert after[sent, ()] > before[sent, ()]
    assert things not in str(after)  # no names and ids of clients


def test_the_engine_is_measured(api: Api, things: str) -> None:
    before = scrape(api)
    assert (before["chroma_collections", ()], before["chroma_rows", ()]) == (1, 3)
    api.collection("other")
    assert api.post(f"{things}/add", {"ids": ["d"], "embeddings": [[1, 2]]}).status_code == 201
    assert api.post(f"{things}/delete", {"ids": ["a", "b"]}).json() == {"deleted": 2}
    after = scrape(api)
    assert (after["chroma_collections", ()], after["chroma_open_collections", ()]) == (2, 1)
    assert (after["chroma_rows", ()], after["chroma_deleted_rows", ()]) == (2, 2)
    assert after["chroma_log_bytes", ()] > before["chroma_log_bytes", ()] > 0
    assert after["chroma_fsyncs_total", ()] >= before["chroma_fsyncs_total", ()] + 2
    assert after["chroma_unindexed_rows", ()] == 0  # so few need no index
    api.post(f"{things}/chroma-arrow/compact")
    assert scrape(api)["chroma_segments", ()] == 1


def test_nothing_is_opened_for_the_figures(serve: Callable[..., Api], folder: Path) -> None:
    first = serve()
    for number in range(5):
        path = first.collection(f"things-{number}")
        first.post(f"{path}/add", {"ids": ["a"], "embeddings": [[1.0]]})
    first.backend.close()
    found = scrape(serve())
    assert (found["chroma_collections", ()], found["chroma_open_collections", ()]) == (5, 0)
    assert found["chroma_rows", ()] == 0


def test_calls_are_counted_while_they_wait(
    serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = serve(threads=1, queue=1)
    entered, leave = threading.Event(), threading.Event()

    def slow(name: str) -> str:
        entered.set()
        assert leave.wait(20)
        return name

    monkeypatch.setattr(api.backend, "get_tenant", slow)
    waiting = [threading.Thread(target=api.get, args=("/api/v2/tenants/x",)) for _ in range(2)]
    waiting[0].start()
    assert entered.wait(20)
    waiting[1].start()
    while not api.pool.queued:
        time.sleep(0.005)
    assert api.get(DATABASE).status_code == 503
    try:
        found = metrics(api.app.state.metrics.text().decode())
    finally:
        leave.set()
        for thread in waiting:
            thread.join()
    assert (found["chroma_calls_running", ()], found["chroma_calls_queued", ()]) == (1, 1)
    assert found["chroma_calls_rejected_total", ()] == 1


def test_scrapes_at_the_same_time(api: Api) -> None:
    """A scrape that has read its figures before another one, and is later done, counts nothing twice."""
    begun, go = threading.Event(), threading.Event()
    numbers = iter((1, 5, 5))

    class Engine:
        def metrics(self) -> EngineMetrics:
            syncs = next(numbers)
            if syncs == 1:
                begun.set()
                assert go.wait(30)
            return api.backend.metrics()._replace(syncs=syncs)

    metrics = Metrics(Engine(), api.pool)
    slow = threading.Thread(target=metrics.refresh)
    slow.start()
    assert begun.wait(30)
    fast = threading.Thread(target=metrics.refresh)
    fast.start()
    fast.join(0.2)
    go.set()
    slow.join(30)
    fast.join(30)
    assert b"chroma_fsyncs_total 5.0" in metrics.text()


def test_what_the_system_refuses_leaves_the_other_metrics(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: str) -> Any:
        raise OSError(5, "Input/output error", path)

    monkeypatch.setattr("chroma.server.observability.metrics.os.statvfs", refuse)
    monkeypatch.setattr("chroma.server.observability.metrics.backup_series.last", refuse)
    text = Metrics(api.backend, api.pool, "/nowhere", "/nowhere/else").text().decode()
    assert "chroma_disk_free_bytes NaN" in text and "chroma_last_backup_timestamp_seconds NaN" in text
    assert "chroma_rows 0.0" in text and "chroma_folder_state 0.0" in text
    assert caplog.text.count("a metric cannot be measured") == 2


def test_the_state_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_state(str(tmp_path)) == 2 and folder_state(str(tmp_path / "missing")) == 0
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK)  # root may write anywhere
    assert folder_state(str(tmp_path)) == 1


def test_without_metrics(serve: Callable[..., Api]) -> None:
    assert serve(metrics=False).get("/metrics").status_code == 404


def test_made_up_methods_are_no_labels(api: Api) -> None:
    api.request("BREW", "/api/v2")
    assert "BREW" not in api.get("/metrics").text


def test_any_of_several_processes_answers_for_all(tmp_path: Path) -> None:
    running = server.start(tmp_path, "--workers", "2", "--log-format", "json")
    try:
        asked = 0
        seen = set()
        until = time.monotonic() + server.PATIENCE
        while len(seen) < 2:  # both have counted something, and both have been asked for it
            assert time.monotonic() < until
            with httpx.Client(trust_env=False) as client:
                asked += client.get(f"{running.url}/api/v2/version").is_success
                found = metrics(client.get(f"{running.url}/metrics").text)
            assert found[requests("/api/v2/version", 200, "GET")] == asked
            seen |= set(re.findall(r'"process": (\d+)', (tmp_path / "log").read_text()))
    finally:
        assert server.ended(running) == 0
