"""OpenTelemetry: spans, whose trace they belong to, and what happens without the packages."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from chroma.errors import InvalidArgumentError
from chroma.server import app as app_module
from chroma.server.observability import tracing
from chroma.server.observability.tracing import Tracing
from chroma.server.run import serve as run
from chroma.server.settings.server_settings import ServerSettings

from .conftest import Api
from .sockets import listening, wait_until


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    made = Tracing("test", SimpleSpanProcessor(exporter))
    monkeypatch.setattr(app_module, "start_tracing", lambda settings: made)
    return exporter


def test_a_request_and_its_call(spans: InMemorySpanExporter, serve: Callable[..., Api]) -> None:
    api = serve()
    path = api.collection()
    spans.clear()
    answer = api.get(f"{path}/count", headers={"x-request-id": "r-7"})
    call, request = spans.get_finished_spans()
    assert call.name == "chroma.count" and request.name.endswith("/collections/{collection}/count")
    assert request.kind is SpanKind.SERVER and request.parent is None
    assert call.parent is not None and call.parent.span_id == request.context.span_id
    attributes = dict(request.attributes or {})
    assert attributes["http.request.method"] == "GET" and attributes["http.response.status_code"] == 200
    assert attributes["chroma.request_id"] == "r-7" and "{collection}" in str(attributes["http.route"])
    assert request.resource.attributes["service.name"] == "test"
    assert f"{request.context.trace_id:032x}" == answer.headers["chroma-trace-id"]


def test_a_trace_is_continued(spans: InMemorySpanExporter, serve: Callable[..., Api]) -> None:
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    answer = serve().get("/api/v2", headers={"traceparent": f"00-{trace}-{parent}-01"})
    _, request = spans.get_finished_spans()
    assert f"{request.context.trace_id:032x}" == trace == answer.headers["chroma-trace-id"]
    assert request.parent is not None and f"{request.parent.span_id:016x}" == parent


def test_failures_are_marked(
    spans: InMemorySpanExporter, serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = serve()

    def broken(name: str) -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr(api.backend, "get_tenant", broken)
    api.get("/api/v2/tenants/x")
    call, request = spans.get_finished_spans()
    assert request.status.status_code is call.status.status_code is StatusCode.ERROR
    api.get("/api/v2/tenants/x/databases?limit=-1")
    _, refused = spans.get_finished_spans()[2:]
    assert refused.status.status_code is StatusCode.UNSET


class Collector(BaseHTTPRequestHandler):
    got: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).got.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    Collector.got = []
    with HTTPServer(("127.0.0.1", 0), Collector) as listening_there:
        thread = threading.Thread(target=listening_there.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening_there.server_port}", Collector.got
        listening_there.shutdown()
        thread.join()


def test_spans_are_sent(serve: Callable[..., Api], collector: tuple[str, list[tuple[str, bytes]]]) -> None:
    """Over OTLP, by the end at the latest."""
    import httpx

    endpoint, got = collector
    api = serve(otel_endpoint=endpoint, otel_service_name="mine")
    with listening(api.app) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/api/v2/version").is_success
    wait_until(lambda: got)
    assert got[0][0] == "/v1/traces"
    import gzip

    body = got[0][1]
    body = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    names = [span.name for scope in resource.scope_spans for span in scope.spans]
    assert sorted(names) == ["GET /api/v2/version", "chroma.version"]
    assert "mine" in str(resource.resource)


def test_a_start_without_the_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(f"No module named {name!r}", name=name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    settings = ServerSettings(path=str(tmp_path / "db"), port=0, otel_endpoint="http://127.0.0.1:1")
    with pytest.raises(InvalidArgumentError, match=r"chroma-arrow\[otel\]"):
        run(settings)
    assert not (tmp_path / "db").exists()
    assert tracing.start(ServerSettings()) is None
