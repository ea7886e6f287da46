"""OpenTelemetry traces, with a span for every request and one for its call of the engine.

Tracing is optional: its packages are imported only if an endpoint is set. A trace that a client has begun
(`traceparent`) is continued. The id of a new trace is the request's `chroma-trace-id`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from ..._version import __version__
from ...errors import InvalidArgumentError
from ...internal.optional_dependencies import installing
from ..settings.server_settings import ServerSettings
from .request_context import CURRENT, Exchange


def check(settings: ServerSettings) -> None:
    """Raises InvalidArgumentError if an endpoint is set and the packages for tracing are missing."""
    if settings.otel_endpoint:
        _packages()


def _packages() -> tuple[Any, Any]:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InvalidArgumentError(
            f"otel_endpoint is set, but {error.name or 'opentelemetry'} is not installed: "
            f"{installing('otel')}, or leave the endpoint out"
        ) from None
    return OTLPSpanExporter, BatchSpanProcessor


def start(settings: ServerSettings) -> Tracing | None:
    """Start tracing according to the settings. Returns None without an endpoint. Raises as `check` does."""
    if not settings.otel_endpoint:
        return None
    exporter, processor = _packages()
    endpoint = settings.otel_endpoint.rstrip("/")
    if not endpoint.endswith("/v1/traces"):
        endpoint += "/v1/traces"
    return Tracing(settings.otel_service_name, processor(exporter(endpoint=endpoint)))


class Tracing:
    """Creates spans and passes them to a processor."""

    def __init__(self, service: str, processor: Any) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        class Ids(RandomIdGenerator):
            def generate_trace_id(self) -> int:
                seen = CURRENT.get()
                return super().generate_trace_id() if seen is None else int(seen.trace_id, 16)

        self._trace = trace
        self._continued = TraceContextTextMapPropagator()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service, "service.version": __version__}),
            id_generator=Ids(),
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("chroma.server", __version__)

    def begin(self, seen: Exchange, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Start the span of a request."""
        carrier = {
            name.decode(): value.decode("latin-1")
            for name, value in headers
            if name in (b"traceparent", b"tracestate")
        }
        seen.span = self._tracer.start_span(
            seen.method,
            self._continued.extract(carrier),
            self._trace.SpanKind.SERVER,
            {"http.request.method": seen.method, "chroma.request_id": seen.request_id},
        )

    def call(self, name: str) -> AbstractContextManager[Any]:
        """The span of an engine call. Use it in the thread of the call."""
        seen = CURRENT.get()
        parent = None if seen is None else self._trace.set_span_in_context(seen.span)
        return self._tracer.start_as_current_span(f"chroma.{name}", parent, record_exception=False)

    def observe(self, seen: Exchange) -> None:
        """End the span of a request."""
        span = seen.span
        if seen.route:
            span.update_name(f"{seen.method} {seen.route}")
            span.set_attribute("http.route", seen.route)
        span.set_attribute("http.response.status_code", seen.status)
        span.set_attribute("http.request.body.size", seen.received)
        span.set_attribute("http.response.body.size", seen.sent)
        if seen.status >= 500:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end()

    def close(self) -> None:
        """Send the remaining spans."""
        self._provider.shutdown()
