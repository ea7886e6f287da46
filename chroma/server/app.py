"""The FastAPI application over a backend."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match

from .. import __version__
from ..errors import ChromaError
from ..local import LocalBackend
from . import exchange
from .auth import Guard, refusal
from .exchange import Exchange
from .incoming import Incoming, UnsupportedMedia
from .outgoing import Streamed, Streaming, answer, error_answer, to_json
from .pool import Pool
from .routes import ROUTES, Call, Handler, Route, healthcheck
from .settings import ServerSettings
from .transport import Envelope

_log = logging.getLogger("chroma.server")

_JSON: dict[str, Any] = {"application/json": {"schema": {}}}
_ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error", "message"],
}


def create_app(backend: LocalBackend, settings: ServerSettings) -> FastAPI:
    """An application that serves a backend, and closes it when the server stops."""
    pool = Pool(settings.threads, settings.queue)
    guard = Guard(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(pool.close)  # calls may wait for the event loop meanwhile
        backend.close()

    app = FastAPI(
        title="Chroma-on-Arrow",
        version=__version__,
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
        openapi_url="/openapi.json",
        docs_url=None,  # the framework's page would load its scripts from a foreign host
    )
    for route in ROUTES:
        app.add_api_route(
            route.path,
            _Served(route, backend, settings, pool, guard).answered,
            methods=[route.method],
            status_code=route.status,
            response_model=None,
            name=route.handler.__name__,
            operation_id=route.handler.__name__,
            summary=(route.handler.__doc__ or "").strip(),
            openapi_extra=_described(route),
            responses={
                "4XX": {"content": {"application/json": {"schema": _ERROR}}, "description": "Refused"}
            },
        )

    async def failed(_: Request, error: Exception) -> Response:
        return error_answer(error)

    async def unrouted(request: Request, error: Exception) -> Response:
        """Unknown routes and wrong methods: no body, and the methods that there are."""
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

    app.state.guard = guard
    app.add_exception_handler(ChromaError, failed)
    app.add_exception_handler(HTTPException, unrouted)
    app.add_middleware(Envelope, origins=settings.cors_origins)
    return app


class _Served:
    """One route over a backend: body, thread, time, and what the answer becomes."""

    def __init__(
        self, route: Route, backend: LocalBackend, settings: ServerSettings, pool: Pool, guard: Guard
    ) -> None:
        self._route = route
        self._backend = backend
        self._settings = settings
        self._pool = pool
        self._guard = guard
        self._late = (
            "it goes on, and may still take effect" if route.changes else "nobody waits for it any longer"
        )

    async def answered(self, request: Request) -> Response:
        """The endpoint."""
        seen: Exchange = request.scope[exchange.KEY]
        seen.route = self._route.path
        call = Call(self._backend, self._settings, request.path_params, request.query_params, request.headers)
        try:
            incoming = Incoming(request, self._settings.max_body_bytes, self._settings.request_seconds)
        except ChromaError as error:
            return error_answer(error)
        try:
            call.caller = await self._guard.admit(request, self._route.needs)
            return await self._done(call, incoming)
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
            result = await self._pool.run(lambda: _made(handler, call), feeding=True)
        elif not route.threaded:
            result = _made(route.handler, call)
        else:
            if route.body:
                if not incoming.is_json:
                    raise UnsupportedMedia(
                        "Expected request with `Content-Type: application/json`, "
                        f"got {incoming.media_type!r:.100}"
                    )
                call.raw = await incoming.read()
            result = await self._pool.run(
                lambda: self._work(call, incoming),
                self._settings.request_seconds,
                incoming.gone,
                late=self._late,
            )
        if isinstance(result, Streamed):
            return await Streaming(
                result, route.status, self._pool, incoming, self._settings.request_seconds
            ).begin()
        return Response(result, route.status, media_type="application/json")

    def _work(self, call: Call, incoming: Incoming) -> bytes | Streamed:
        if self._route.body:
            call.raw = incoming.decoded(call.raw)
        return _made(self._route.handler, call)


def _made(handler: Handler, call: Call) -> bytes | Streamed:
    result = handler(call)
    return result if isinstance(result, Streamed) else to_json(result)


def _unhealthy(error: Exception) -> Response:
    _log.error("the health check failed: %s", error)
    message = error.message() if isinstance(error, ChromaError) else str(error)
    body: dict[str, Any] = {"is_executor_ready": False, "is_log_client_ready": False}
    return answer(body | {"error": "ChromaError", "message": message}, 503)


def _described(route: Route) -> dict[str, Any]:
    """What the signature of an endpoint does not tell the OpenAPI document."""
    names = [part.strip("{}") for part in route.path.split("/") if part.startswith("{")]
    described: dict[str, Any] = {
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ],
        "responses": {str(route.status): {"description": "Done", "content": _JSON}},
    }
    if route.body:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    return described
