"""System routes, tenants, databases, and what holds for every route."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Match

import chroma
from chroma.server.routes import ROUTES
from chroma.server.run import OpenFolder
from chroma.server.settings.server_settings import ServerSettings

from .conftest import DATABASE, Api, refused


@pytest.mark.parametrize("path", ["/api/v2", "/api/v2/heartbeat"])
def test_heartbeat(api: Api, path: str) -> None:
    answer = api.get(path)
    assert abs(answer.json()["nanosecond heartbeat"] - time.time_ns()) < 60e9
    head = api.request("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")


def test_version_is_one(api: Api) -> None:
    assert api.get("/api/v2/version").json() == chroma.__version__


def test_pre_flight(serve: Callable[..., Api]) -> None:
    checks = serve(max_batch_size=777).get("/api/v2/pre-flight-checks").json()
    assert checks["max_batch_size"] == 777
    assert checks["supports_base64_encoding"] is True
    assert checks["chroma_arrow"]["max_body_bytes"] == 1 << 30


def test_identity(api: Api) -> None:
    assert api.get("/api/v2/auth/identity").json() == {
        "user_id": "", "tenant": "default_tenant", "databases": ["default_database"], "attributes": None,
    }  # fmt: skip


def test_healthcheck_really_checks(api: Api, folder: Path) -> None:
    healthy = api.get("/api/v2/healthcheck")
    assert (healthy.status_code, healthy.json()) == (
        200,
        {"is_executor_ready": True, "is_log_client_ready": True, "state": "ok"},
    )
    shutil.rmtree(folder)
    ill = api.get("/api/v2/healthcheck")
    assert ill.status_code == 503
    assert (ill.json()["is_executor_ready"], ill.json()["state"]) == (False, "broken")
    assert ill.json()["error"] == "ChromaError"


def test_a_read_only_folder_is_not_taken_for_a_broken_one(
    api: Api, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chroma.server.routes.os.access", lambda path, mode: False)  # root may write anywhere
    found = api.get("/api/v2/healthcheck")
    assert (found.status_code, found.json()["state"]) == (503, "read-only")
    assert (found.json()["is_executor_ready"], found.json()["is_log_client_ready"]) == (True, False)
    assert str(folder) in found.json()["message"]


def test_a_backup_is_healthy_for_reading(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with chroma.PersistentClient(tmp_path / "original") as client:
        client.create_collection("things", embedding_function=None)
        client.backup(tmp_path / "backup")
    with OpenFolder(ServerSettings(path=str(tmp_path / "backup"))) as opened:
        assert opened.backend.read_only
    assert "is served for reading" in caplog.text
    api = Api(tmp_path / "backup")
    answer = api.get("/api/v2/healthcheck")
    assert (answer.status_code, answer.json()["read_only"]) == (200, True)
    assert answer.json()["state"] == "read-only"
    api.backend.close()


def test_reset_needs_permission(serve: Callable[..., Api]) -> None:
    strict = serve()
    strict.collection()
    assert "--allow-reset" in refused(strict.post("/api/v2/reset"), 403, "AuthorizationError")
    lax = serve(allow_reset=True)
    answer = lax.request("POST", "/api/v2/reset")  # as JavaScript does: no body, no content type
    assert (answer.status_code, answer.content) == (200, b"true")
    assert lax.get(f"{DATABASE}/collections_count").content == b"0"


def test_tenants_and_databases(api: Api) -> None:
    assert api.post("/api/v2/tenants", {"name": "t/ä x"}).json() == {}
    tenant = "/api/v2/tenants/t%2F%C3%A4%20x"
    assert api.get(tenant).json() == {"name": "t/ä x", "resource_name": None}
    assert api.request("PATCH", tenant, json={"resource_name": "r"}).json() == {}
    refused(api.request("PATCH", tenant, json={}), 422, "ChromaError")
    refused(api.post("/api/v2/tenants", {"name": "t/ä x"}), 409, "UniqueConstraintError")
    refused(api.post("/api/v2/tenants", {"name": "t"}), 400, "InvalidArgumentError")
    refused(api.post("/api/v2/tenants", {"name": 3}), 422, "ChromaError")
    refused(api.post("/api/v2/tenants", {}), 422, "ChromaError")
    refused(api.get("/api/v2/tenants/none"), 404, "NotFoundError")
    for name in ("two", "one"):
        if len(name) == 3:
            assert api.post(f"{tenant}/databases", {"name": name}).json() == {}
    refused(api.post(f"{tenant}/databases", {"name": "one"}), 409, "UniqueConstraintError")
    refused(api.post(f"{tenant}/databases", {"name": "a b"}), 400, "InvalidArgumentError")
    listed = api.get(f"{tenant}/databases").json()
    assert [entry["name"] for entry in listed] == ["one", "two"]
    assert api.get(f"{tenant}/databases?limit=1&offset=1").json() == listed[1:]
    assert api.get(f"{tenant}/databases/one").json() == listed[0]
    assert api.request("DELETE", f"{tenant}/databases/one").json() == {}
    refused(api.get(f"{tenant}/databases/one"), 404, "NotFoundError")
    refused(api.request("DELETE", f"{tenant}/databases/one"), 404, "NotFoundError")
    assert api.get(DATABASE).json()["id"] == "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "offset=1.5", "limit=", "limit=²"])
def test_bad_query_strings(api: Api, query: str) -> None:
    refused(api.get(f"{DATABASE}/collections?{query}"), 400, "InvalidArgumentError")


def test_unknown_routes_and_methods(api: Api) -> None:
    for path in ("/api/v2/", "/api/v2/nothing", "/api/v3", f"{DATABASE}/collections/"):
        answer = api.get(path)
        assert (answer.status_code, answer.content) == (404, b""), path
    answer = api.request("PUT", f"{DATABASE}/collections")
    assert (answer.status_code, answer.content) == (405, b"")
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert api.request("OPTIONS", "/api/v2/heartbeat").status_code == 405


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_version_1_is_gone(api: Api, method: str) -> None:
    answer = api.request(method, "/api/v1/collections")
    assert answer.status_code == 410
    assert answer.json()["error"] == "Unimplemented"


def test_bodies_that_are_not_json(api: Api) -> None:
    path = "/api/v2/tenants"
    for raw in (b"", b"{", b"\xff{}", b'{"name": NaN}', b"[" * 2000):
        refused(api.request("POST", path, content=raw), 400, "InvalidArgumentError")
    for raw in (b"[]", b'"x"', b"1", b"null"):
        refused(api.request("POST", path, content=raw), 422, "ChromaError")
    body = json.dumps({"name": "tenant"}).encode()
    form = {"content-type": "application/x-www-form-urlencoded"}
    refused(api.request("POST", path, content=body, headers=form), 415, "ChromaError")
    refused(api.request("POST", path, content=body, headers={"content-encoding": "br"}), 415, "ChromaError")
    assert api.request("POST", path, content=body).status_code == 200  # without a content type


def test_bodies_that_are_too_large(serve: Callable[..., Api]) -> None:
    api = serve(max_body_bytes=2000)
    body = json.dumps({"name": "n" * 3000}).encode()
    assert "2,000 bytes" in refused(api.request("POST", "/api/v2/tenants", content=body), 413, "ChromaError")

    async def parts() -> Any:  # no Content-Length
        for start in range(0, len(body), 500):
            yield body[start : start + 500]

    refused(api.request("POST", "/api/v2/tenants", content=parts()), 413, "ChromaError")


def test_paths_that_are_not_utf_8(api: Api) -> None:
    refused(api.get("/api/v2/tenants/%ff"), 400, "InvalidArgumentError")


def test_cors(serve: Callable[..., Api]) -> None:
    ask = {"origin": "http://page", "access-control-request-method": "POST"}
    assert "access-control-allow-origin" not in serve().get("/api/v2", headers=ask).headers
    every = serve(cors_origins=("*",))
    preflight = every.request("OPTIONS", "/api/v2/tenants", headers=ask)
    assert preflight.status_code == 200
    for name in ("origin", "methods", "headers"):
        assert preflight.headers[f"access-control-allow-{name}"] == "*"
    assert every.get("/api/v2", headers=ask).headers["access-control-allow-origin"] == "*"
    some = serve(cors_origins=("http://page", "http://other"))
    assert some.get("/api/v2", headers=ask).headers["access-control-allow-origin"] == "http://page"
    foreign = some.request("OPTIONS", "/api/v2", headers=ask | {"origin": "http://evil"})
    assert foreign.status_code == 200
    assert "access-control-allow-origin" not in foreign.headers


def test_too_many_calls_are_put_off(serve: Callable[..., Api], monkeypatch: pytest.MonkeyPatch) -> None:
    api = serve(threads=1, queue=0)
    entered, leave = threading.Event(), threading.Event()

    def slow(name: str) -> str:
        entered.set()
        assert leave.wait(20)
        return name

    monkeypatch.setattr(api.backend, "get_tenant", slow)
    first = threading.Thread(target=api.get, args=("/api/v2/tenants/default_tenant",))
    first.start()
    try:
        assert entered.wait(20)
        answer = api.get(DATABASE)
        refused(answer, 503, "ChromaError")
        assert answer.headers["retry-after"] == "1"
        assert api.get("/api/v2/heartbeat").status_code == 200
    finally:
        leave.set()
        first.join()
    assert api.get(DATABASE).status_code == 200


def test_unexpected_errors_are_not_shown(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr(api.backend, "get_tenant", broken)
    assert "secret" not in refused(api.get("/api/v2/tenants/default_tenant"), 500, "InternalError")


def test_the_openapi_document_has_every_route(api: Api) -> None:
    from chroma.server.routes import ROUTES

    paths = api.get("/openapi.json").json()["paths"]
    assert {(method.upper(), path) for path, found in paths.items() for method in found} == {
        (route.method, route.path) for route in ROUTES
    }
    operations = [operation for found in paths.values() for operation in found.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_routes_are_found_as_the_framework_finds_them(api: Api, method: str) -> None:
    """The framework's own layers are skipped for requests that have a route."""
    paths = [re.sub(r"\{(\w+)\}", r"the-\1%2F", route.path) for route in ROUTES]
    for path in [*paths, "/api/v3", "/api/v2/", "//", paths[0] + "\n", paths[0] + "/x", paths[0] + "x" * 600]:
        scope = {"type": "http", "method": method, "path": path}
        whole = [route for route in api.app.routes if route.matches(scope)[0] is Match.FULL]
        found = api.app.envelope._find(method, path)
        if method == "HEAD":  # the envelope answers it as a GET
            assert found is None
        elif not whole:
            assert found is None, path
        else:
            assert found is not None
            assert found[0] == whole[0].endpoint and found[1] == whole[0].matches(scope)[1]["path_params"]  # type: ignore[attr-defined]


def test_the_first_of_several_headers_counts(api: Api, things: str) -> None:
    content = b'{"query_embeddings": [[1.0, 0.0]]}'
    for kinds, status in (
        (["application/json", "text/plain"], 200),
        (["text/plain", "application/json"], 415),
    ):
        headers = [("Content-Type", kind) for kind in kinds]
        assert api.request("POST", f"{things}/query", content=content, headers=headers).status_code == status
