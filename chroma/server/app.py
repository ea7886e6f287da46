"""The FastAPI application over a backend."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from .. import __version__
from ..backend import Backend
from ..errors import ChromaError
from .routes import ROUTES, Call, Route, healthcheck
from .settings import ServerSettings
from .transport import ClientDisconnect, Envelope, Pool, answer, error_answer, read_body, to_json

_log = logging.getLogger("chroma.server")

_JSON: dict[str, Any] = {"application/json": {"schema": {}}}
_ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "message": {"type": "string"}},
    "required": ["error", "message"],
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "Refused", "content": {"application/json": {"schema": _ERROR}}}
}


def create_app(backend: Backend, settings: ServerSettings) -> FastAPI:
    """An application that serves a backend, and closes it when the server stops."""
    pool = Pool(settings.threads, settings.queue)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        pool.close()
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
            _endpoint(route, backend, settings, pool),
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

    app.add_exception_handler(ChromaError, failed)
    app.add_exception_handler(HTTPException, unrouted)
    app.add_middleware(Envelope, origins=settings.cors_origins)
    return app


def _endpoint(
    route: Route, backend: Backend, settings: ServerSettings, pool: Pool
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        raw = await read_body(request, settings.max_body_bytes) if route.body else b""
        call = Call(backend, settings, request.path_params, request.query_params, raw)

        def work() -> bytes:
            return to_json(route.handler(call))

        try:
            content = await pool.run(work) if route.threaded else work()
        except ClientDisconnect:
            raise
        except Exception as error:
            if route.handler is healthcheck:
                return _unhealthy(error)
            return error_answer(error)
        return Response(content, route.status, media_type="application/json")

    return endpoint


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
