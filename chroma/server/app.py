"""The FastAPI application that serves a backend."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match, compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from .._version import __version__
from ..backend.embedded_protocol import EmbeddedBackend
from ..errors import ChromaError
from ..storage.interface import unmatched
from ..wire import warning_header
from . import openapi
from .answer_cache import AnswerCache
from .http.cross_origin import Gate
from .http.middleware import Endpoint, Envelope, Find, Observer
from .http.request_body import Incoming
from .http.responses import LARGE, Large, Ready, Streamed, Streaming, answer, error_answer, joined, to_json
from .limits.fair_shares import Budget, Holder, caller_of
from .limits.short_calls import NotShort, ShortCalls
from .limits.thread_pool import Pool
from .limits.transfer_rate import Pace, taking
from .observability import logs, request_context
from .observability.metrics import REFRESH_SECONDS, Metrics
from .observability.request_context import Exchange
from .observability.route_times import RouteTimes
from .observability.tracing import Tracing
from .observability.tracing import start as start_tracing
from .routes import CONSOLE, PAGES, ROUTES, Call, Handler, NotWritable, Route, Site, healthcheck
from .security.authorization import Guard, refusal
from .security.guests import Guests
from .settings.server_settings import ServerSettings

_log = logging.getLogger("chroma.server")

_BODIES_BYTES = 1 << 30  # the limit for bodies in memory, or twice the largest body if that is more
_ANSWERS_BYTES = 1 << 29  # the limit for responses that are being sent and are not streams

_PATHS, _LONGEST_PATH = (
    1024,
    512,
)  # paths whose routes are remembered: how many, and up to how many characters

_ALSO = {"/api/v2/openapi.json": ("/openapi.json",)}  # additional paths, which other servers use


def create_app(backend: EmbeddedBackend, settings: ServerSettings, guests: Guests | None = None) -> FastAPI:
    """An application that serves a backend, and closes the backend when the server stops.

    guests  the only callers, instead of those in the settings
    """
    pool = Pool(settings.threads, settings.queue)
    budget = Budget(max(2 * settings.max_body_bytes, _BODIES_BYTES))
    answers = Budget(_ANSWERS_BYTES)
    guard = Guard(settings, guests)
    tracing = start_tracing(settings)
    metrics: Metrics | None = None
    if settings.metrics:
        metrics = Metrics(backend, pool, settings.path, settings.backup_dir)
    document = openapi.document()
    times = RouteTimes()
    site = Site(
        metrics=metrics,
        pool=pool,
        times=times,
        document=to_json(document),
        page=openapi.page(document),
        guests=guests,
        answers=AnswerCache(),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        told = asyncio.ensure_future(_keep_fresh(metrics)) if metrics and metrics.several else None
        yield
        if told is not None:
            told.cancel()
        await asyncio.to_thread(pool.close)  # in a thread, because calls may need the event loop
        backend.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.close)

    # The framework's own OpenAPI document and page are disabled. It derives the document from signatures,
    # which have no information here, and its page loads scripts from another host.
    app = _Application(
        title="Chroma-on-Arrow",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
    )
    app.state.pool, app.state.metrics, app.state.guard, app.state.budget = pool, metrics, guard, budget
    shared = _Shared(
        backend=backend,
        settings=settings,
        pool=pool,
        budget=budget,
        answers=answers,
        guard=guard,
        site=site,
        tracing=tracing,
    )
    endpoints: list[tuple[str, str, Endpoint]] = []
    for route in (*ROUTES, *PAGES, *(CONSOLE if settings.console else ())):
        served = _Answering(route, shared)
        for path in (route.path, *_ALSO.get(route.path, ())):
            endpoints.append((route.method, path, served.answered))
            app.add_route(path, served.answered, methods=[route.method], name=route.handler.__name__)

    async def failed(_: Request, error: Exception) -> Response:
        return error_answer(error)

    async def unrouted(request: Request, error: Exception) -> Response:
        """Respond to unknown routes and wrong methods, without a body but with the allowed methods."""
        status = error.status_code if isinstance(error, HTTPException) else 404
        if status != 405:
            return Response(status_code=status)
        allowed: set[str] = set()
        for candidate in app.routes:
            if candidate.matches(request.scope)[0] is not Match.NONE:
                allowed |= getattr(candidate, "methods", None) or set()
        if "GET" in allowed:
            allowed.add("HEAD")
        return Response(status_code=405, headers={"Allow": ", ".join(sorted(allowed))})

    app.add_exception_handler(ChromaError, failed)
    app.add_exception_handler(HTTPException, unrouted)
    observers: list[Observer] = [logs.observe, times.observe]
    if metrics is not None:
        observers.append(metrics.observe)
    if tracing is not None:
        observers.append(tracing.observe)
    app.envelope = Envelope(
        app.framework,
        _finder(endpoints),
        gate=Gate(settings),
        origins=settings.cors_origins,
        observers=tuple(observers),
        tracing=tracing,
    )
    return app


class _Application(FastAPI):
    """The framework's application, in an envelope that calls the endpoints of routes itself.

    The framework answers requests that have no route. Its layers would take 140 µs per request.
    """

    envelope: Envelope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        called: ASGIApp = self.envelope if scope["type"] == "http" else self.framework
        await called(scope, receive, send)

    async def framework(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What the framework does with a request."""
        await super().__call__(scope, receive, send)


def _finder(endpoints: Sequence[tuple[str, str, Endpoint]]) -> Find:
    """A function that finds the endpoint of a request. The first one that fits is used."""
    compiled = [(method, compile_path(path)[0], endpoint) for method, path, endpoint in endpoints]

    def search(method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        for accepted, pattern, endpoint in compiled:
            if method == accepted and (match := pattern.match(path)):
                return endpoint, match.groupdict()
        return None

    remembered = lru_cache(_PATHS)(search)
    return lambda method, path: (search if len(path) > _LONGEST_PATH else remembered)(method, path)


async def _keep_fresh(metrics: Metrics) -> None:
    """Regularly publish this process's metrics to the other processes."""
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        try:
            await asyncio.to_thread(metrics.refresh)
        except (ChromaError, OSError) as error:
            _log.warning("the figures of the engine could not be read: %s", error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """The objects that all routes of an application share."""

    backend: EmbeddedBackend
    settings: ServerSettings
    pool: Pool
    budget: Budget
    answers: Budget
    guard: Guard
    site: Site
    tracing: Tracing | None


class _Answering:
    """Serves one route: reads the body, calls the handler in a thread within the time limit, or on this
    thread if its calls are short, and turns its result into a response."""

    def __init__(self, route: Route, shared: _Shared) -> None:
        self._route = route
        self._backend, self._settings = shared.backend, shared.settings
        self._pool, self._budget, self._answers = shared.pool, shared.budget, shared.answers
        self._guard, self._site, self._tracing = shared.guard, shared.site, shared.tracing
        self._short = ShortCalls()
        settings = shared.settings
        self._largest = min(settings.max_body_bytes, route.largest or settings.max_body_bytes)
        span, rate = min(settings.idle_seconds, settings.request_seconds), settings.min_bytes_per_second
        self._sending, self._taking = (span, span * rate), taking(span, rate)
        self._timeout_text = (
            "it goes on, and may still take effect" if route.changes else "nobody waits for it any longer"
        )

    async def answered(self, request: Request) -> Response:
        """The endpoint of the route."""
        seen: Exchange = request.scope[request_context.KEY]
        seen.route = self._route.path
        # The first of several headers of one name counts. The framework's mapping is slower than a plain
        # dict: it reads all headers at each access.
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.raw[::-1]
        }
        call = Call(
            backend=self._backend,
            settings=self._settings,
            encoded=request.path_params,
            options=request.query_params,
            headers=headers,
            site=self._site,
        )
        incoming = Incoming(
            request,
            headers,
            largest=self._largest,
            seconds=self._settings.request_seconds,
            budget=self._budget,
            holder=Holder("", Pace(*self._sending)),
        )
        try:
            call.caller = await self._guard.admit(request, self._route.needs)
            if self._route.body:
                incoming.check_coding()
            incoming.holder.caller = caller_of(request.scope, call.caller.name)
            response = await self._done(call, incoming)
            if call.unmatched:
                response.headers[warning_header.NAME] = warning_header.encode(call.unmatched)
            return response
        except ClientDisconnect:
            raise
        except Exception as error:
            refused = _unhealthy(error) if self._route.handler is healthcheck else refusal(error)
            if self._route.body and not await incoming.discard():
                refused.headers["Connection"] = "close"
            return refused
        finally:
            incoming.close()
            seen.received = incoming.received

    async def _done(self, call: Call, incoming: Incoming) -> Response:
        route = self._route
        handler = route.streamed.get(incoming.media_type)
        if handler is not None:
            call.stream = incoming.file()
            result = await self._pool.feed(
                lambda: self._made(handler, call), incoming.holder, self._settings.request_seconds
            )
        elif not route.threaded:
            result = self._made(route.handler, call)
        else:
            if route.method != "GET":
                incoming.check_media(route.body)
            if route.body:
                call.raw = await incoming.read()
            kind = None if route.kind is None or incoming.compressed else route.kind(call)
            if kind is None:
                result = await self._in_thread(lambda: self._work(call, incoming), incoming)
            elif self._short.proven(kind):
                result = await self._on_loop(kind, call, incoming)
            else:
                result = await self._in_thread(
                    lambda: self._short.measured(kind, lambda: self._made(route.handler, call)), incoming
                )
        if isinstance(result, Streamed) and result.media_type == "application/json" and incoming.older:
            chunks, most = result.chunks, self._settings.max_answer_bytes
            result = await self._pool.run(
                lambda: joined(chunks, most), self._settings.request_seconds, incoming.gone, admitted=True
            )
        if isinstance(result, Streamed):
            reader = self._reader(incoming)
            return await Streaming(
                streamed=result,
                status=route.status,
                pool=self._pool,
                incoming=incoming,
                reader=reader,
                seconds=self._settings.request_seconds,
            ).begin()
        if isinstance(result, Ready):
            return Response(
                result.content, result.status or route.status, result.headers, media_type=result.media_type
            )
        if len(result) > LARGE:
            reader = self._reader(incoming)
            seconds = self._settings.request_seconds
            return Large(
                content=result,
                status=route.status,
                media_type="application/json",
                incoming=incoming,
                reader=reader,
                budget=self._answers,
                seconds=seconds,
            )
        return Response(result, route.status, media_type="application/json")

    async def _on_loop(self, kind: Hashable, call: Call, incoming: Incoming) -> bytes | Ready | Streamed:
        """Make the answer on this thread, or in another one if it is large."""
        handler = self._route.handler
        call.on_loop = True
        try:
            return self._short.measured(kind, lambda: self._made(handler, call))
        except NotShort:
            call.on_loop = False
            return await self._in_thread(lambda: self._made(handler, call), incoming)

    async def _in_thread(
        self, work: Callable[[], bytes | Ready | Streamed], incoming: Incoming
    ) -> bytes | Ready | Streamed:
        return await self._pool.run(
            work,
            self._settings.request_seconds,
            incoming.gone,
            timeout_text=self._timeout_text,
            checking=self._route.handler is healthcheck,
        )

    def _reader(self, incoming: Incoming) -> Holder:
        return Holder(incoming.holder.caller, Pace(*self._taking))

    def _work(self, call: Call, incoming: Incoming) -> bytes | Ready | Streamed:
        if self._route.body:
            call.raw = incoming.decoded(call.raw)
        return self._made(self._route.handler, call)

    def _made(self, handler: Handler, call: Call) -> bytes | Ready | Streamed:
        with unmatched.collected() as call.unmatched:
            if self._tracing is None:
                result = handler(call)
            else:
                with self._tracing.call(handler.__name__):
                    result = handler(call)
        return result if isinstance(result, (Ready, Streamed)) else to_json(result)


def _unhealthy(error: Exception) -> Response:
    """The response of a failed health check. Its state says whether the folder can still be read."""
    _log.error("the health check failed: %s", error)
    message = error.message() if isinstance(error, ChromaError) else str(error)
    readable = isinstance(error, NotWritable)
    body: dict[str, Any] = {"is_executor_ready": readable, "is_log_client_ready": False}
    body["state"] = "read-only" if readable else "broken"
    return answer(body | {"error": "ChromaError", "message": message}, 503)
