"""Who may do what: every route, every role, and what is refused before anything is read or told."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from chroma.server.observability import request_context
from chroma.server.routes import ROUTES
from chroma.server.security import authorization, credentials_file, password_checks
from chroma.server.security.credentials_file import Entry, add_entry, remove_entry

from .conftest import Api, refused

DEFAULT = "/api/v2/tenants/default_tenant/databases/default_database"
ACME = "/api/v2/tenants/acme"
ID = "00000000-0000-4000-8000-000000000000"
NAMES = ("root", "writer", "reader", "boss", "worker", "two", "late")
TOKENS = {name: f"{name}-" + "t" * 40 for name in NAMES}
PASSWORD = "correct horse"


@cache
def hashed_once() -> str:
    return credentials_file.hash_password(PASSWORD.encode())


def token_entry(name: str, role: str, *access: str, expires: str | None = None) -> Entry:
    hashed = credentials_file.hash_token(TOKENS[name].encode())
    return Entry(name, "token", role, access, hashed, "", expires)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "auth.json"
    entries = [
        token_entry("root", "admin", "*"),
        token_entry("writer", "write", "*"),
        token_entry("reader", "read", "*"),
        token_entry("boss", "admin", "acme/*"),
        token_entry("worker", "write", "acme/prod"),
        token_entry("two", "read", "acme/prod", "acme/dev", "other/*"),
        token_entry("late", "admin", "*", expires=credentials_file.now(-5)),
        Entry("bob", "basic", "write", ("default_tenant/default_database",), hashed_once()),
    ]
    for entry in entries:
        add_entry(path, entry)
    return path


@pytest.fixture
def api(serve: Callable[..., Api], file: Path) -> Api:
    api = serve(auth_file=str(file), allow_reset=True)
    root = bearer("root")
    assert api.post("/api/v2/tenants", {"name": "acme"}, headers=root).status_code == 200
    for name in ("prod", "dev", "secret"):
        assert api.post(f"{ACME}/databases", {"name": name}, headers=root).status_code == 200
    return api


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {TOKENS[name]}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def path_of(template: str, tenant: str = "default_tenant", database: str = "default_database") -> str:
    return template.format(
        tenant=tenant, database=database, collection=ID, crn="a:b:c", function="f", snapshot="s"
    )


OPEN = {"root", "heartbeat", "healthcheck", "version", "pre_flight_checks", "openapi", "page", "own_ticket"}


def test_what_is_open() -> None:
    assert {route.handler.__name__ for route in ROUTES if route.needs == "none"} == OPEN


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.handler.__name__)
def test_without_credentials(api: Api, route: Any) -> None:
    answer = api.request(route.method, path_of(route.path), content=b"x" * 100)
    if route.needs == "none":
        assert answer.status_code == (400 if route.body else 200)
        assert not route.body or route.largest == 4096
        return
    refused(answer, 401, "AuthError")
    assert answer.headers.get_list("www-authenticate") == [
        'Bearer realm="chroma"', 'Basic realm="chroma", charset="UTF-8"',
    ]  # fmt: skip


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.handler.__name__)
def test_roles(api: Api, route: Any) -> None:
    """A role does what its level allows; nothing of the body is looked at before."""
    ranks = {"none": -1, "known": -1, "read": 0, "write": 1, "admin": 2}
    for rank, name in enumerate(("reader", "writer", "root")):
        answer = api.request(route.method, path_of(route.path), headers=bearer(name), content=b"{")
        if rank >= ranks[route.needs]:
            assert answer.status_code not in (401, 403), answer.text
        else:
            message = refused(answer, 403, "AuthorizationError")
            assert route.needs in message


def test_bad_credentials(api: Api) -> None:
    token = TOKENS["root"]
    for headers in (
        {"Authorization": f"Bearer {token}x"},
        {"Authorization": f"Bearer {token[:-1]}"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer"},
        {"Authorization": token},
        {"Authorization": f"Token {token}"},
        {"Authorization": f"Bearer {credentials_file.hash_token(token.encode())}"},
        {"X-Chroma-Token": f"Bearer {token}"},
        {"X-Chroma-Token": ""},
        {"X-Chroma-Token": "wrong", "Authorization": f"Bearer {token}"},
        [("X-Chroma-Token", token), ("X-Chroma-Token", token)],
        [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")],
        bearer("late"),
        basic("bob", "wrong"),
        basic("bob", ""),
        basic("nobody", PASSWORD),
        basic("root", token),
        basic("bob", "x" * 2000),
        {"Authorization": "Basic ???"},
        {"Authorization": "Basic " + base64.b64encode(b"bob").decode()},
        {"Authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"Authorization": "Bearer \xe9".encode("latin-1")},
        {"Authorization": f"Bearer {token}\xa0".encode("latin-1")},
        {"Authorization": f"Bearer \x85{token}".encode("latin-1")},
    ):
        answer = api.get(DEFAULT, headers=headers)
        message = refused(answer, 401, "AuthError")
        assert token not in message and PASSWORD not in message


def test_bodies_are_looked_at_after_credentials(api: Api) -> None:
    odd = {"content-encoding": "zstd"}
    for content in (b"", b"x"):
        answer = api.request("POST", f"{DEFAULT}/collections", content=content, headers=odd)
        refused(answer, 401, "AuthError")
    answer = api.request("POST", f"{DEFAULT}/collections", content=b"x", headers=bearer("root") | odd)
    assert "zstd" in refused(answer, 415, "ChromaError")


def test_good_credentials(api: Api) -> None:
    for headers in (
        bearer("root"),
        {"authorization": f"bearer {TOKENS['root']}"},
        {"X-Chroma-Token": TOKENS["root"]},
        {"X-Chroma-Token": TOKENS["root"], "Authorization": "Basic of-a-proxy"},
        basic("bob", PASSWORD),
    ):
        assert api.get(DEFAULT, headers=headers).status_code == 200


@pytest.mark.parametrize(("header", "good"), [("Authorization", 0), ("X-Chroma-Token", 1)])
def test_one_header_for_tokens(serve: Callable[..., Api], file: Path, header: str, good: int) -> None:
    api = serve(auth_file=str(file), auth_token_header=header)
    sent = ({"Authorization": f"Bearer {TOKENS['root']}"}, {"X-Chroma-Token": TOKENS["root"]})
    assert api.get(DEFAULT, headers=sent[good]).status_code == 200
    assert api.get(DEFAULT, headers=sent[1 - good]).status_code == 401
    assert api.get(DEFAULT, headers=basic("bob", PASSWORD)).status_code == 200


def test_bindings(api: Api) -> None:
    def status(name: str, method: str, path: str, body: Any = None) -> int:
        return api.request(method, path, headers=bearer(name), json=body or {}).status_code

    new = {"name": "things"}
    # (tenant, database): who may read, who may write
    for database, readers, writers in (
        ("prod", {"boss", "worker", "two"}, {"boss", "worker"}),
        ("dev", {"boss", "two"}, {"boss"}),
        ("secret", {"boss"}, {"boss"}),
        ("missing", {"boss"}, {"boss"}),
    ):
        for name in ("boss", "worker", "two"):
            there = 200 if database != "missing" else 404
            read = status(name, "GET", f"{ACME}/databases/{database}")
            assert read == (there if name in readers else 403), (name, database)
            body = {**new, "get_or_create": True}
            write = status(name, "POST", f"{ACME}/databases/{database}/collections", body)
            assert write == (there if name in writers else 403), (name, database)
    for name in ("boss", "worker", "two"):
        assert status(name, "GET", ACME) == 200
        assert status(name, "GET", DEFAULT) == 403
        assert status(name, "GET", "/api/v2/tenants/no_such_tenant") == 403, "existence is not told"
        assert status(name, "POST", "/api/v2/reset") == 403
        assert status(name, "POST", "/api/v2/tenants", {"name": "acme2"}) == 403
        assert status(name, "PATCH", ACME, {"resource_name": "x"}) == (200 if name == "boss" else 403)
        assert status(name, "DELETE", f"{ACME}/databases/dev2") == (404 if name == "boss" else 403)
    assert status("two", "GET", "/api/v2/tenants/other") == 404
    assert status("boss", "POST", f"{ACME}/databases", {"name": "fresh"}) == 200
    assert status("boss", "POST", "/api/v2/tenants/default_tenant/databases", {"name": "fresh"}) == 403
    assert status("boss", "DELETE", f"{ACME}/databases/fresh") == 200
    # a path that is another spelling of a tenant is that tenant, one that is not is not
    assert status("worker", "GET", "/api/v2/tenants/%61cme/databases/prod") == 200
    assert status("worker", "GET", "/api/v2/tenants/acme/databases/prod%2Fx") == 403
    assert status("worker", "GET", "/api/v2/tenants/acme/databases/*") == 403
    assert status("root", "GET", "/api/v2/tenants/%ff") == 400
    assert status("root", "POST", "/api/v2/reset") == 200


def test_lists_show_what_is_open(api: Api) -> None:
    def names(who: str, query: str = "") -> list[str]:
        answer = api.get(f"{ACME}/databases{query}", headers=bearer(who))
        return [database["name"] for database in answer.json()]

    assert names("root") == names("boss") == names("reader") == ["dev", "prod", "secret"]
    assert names("worker") == ["prod"]
    assert names("two") == ["dev", "prod"]
    assert names("two", "?limit=1&offset=1") == ["prod"]
    assert names("two", "?offset=5") == names("two", "?limit=0") == []


def test_identity(api: Api) -> None:
    def who(headers: dict[str, str]) -> Any:
        return api.get("/api/v2/auth/identity", headers=headers).json()

    assert who(bearer("root")) == {
        "user_id": "root", "tenant": "*", "databases": ["*"],
        "attributes": {"role": "admin", "access": ["*"]},
    }  # fmt: skip
    assert who(basic("bob", PASSWORD)) == {
        "user_id": "bob", "tenant": "default_tenant", "databases": ["default_database"],
        "attributes": {"role": "write", "access": ["default_tenant/default_database"]},
    }  # fmt: skip
    assert (who(bearer("boss"))["tenant"], who(bearer("boss"))["databases"]) == ("acme", ["*"])
    assert (who(bearer("two"))["tenant"], who(bearer("two"))["databases"]) == ("*", ["*"])


def test_a_reader_cannot_create_by_opening(api: Api) -> None:
    body = {"name": "things", "get_or_create": True}
    assert api.post(f"{DEFAULT}/collections", body, headers=bearer("writer")).status_code == 200
    refused(api.post(f"{DEFAULT}/collections", body, headers=bearer("reader")), 403, "AuthorizationError")
    assert api.get(f"{DEFAULT}/collections/things", headers=bearer("reader")).status_code == 200


def test_browsers_may_ask_first(serve: Callable[..., Api], file: Path) -> None:
    api = serve(auth_file=str(file), cors_origins=("http://page",))
    ask = {"origin": "http://page", "access-control-request-method": "POST"}
    assert api.request("OPTIONS", DEFAULT, headers=ask).status_code == 200
    answer = api.get(DEFAULT, headers={"origin": "http://page"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "http://page")


def test_the_file_is_read_again(api: Api, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorization, "_CHECK_SECONDS", 0.0)
    api.app.state.guard.reload()

    def status(name: str) -> int:
        return api.get(DEFAULT, headers=bearer(name)).status_code

    assert status("reader") == 200
    remove_entry(file, "reader")
    assert (status("reader"), status("root")) == (401, 200)
    add_entry(
        file, Entry("reader", "token", "read", ("*",), credentials_file.hash_token(TOKENS["reader"].encode()))
    )
    assert status("reader") == 200


def test_a_changed_password(api: Api, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is remembered of the old password is worthless."""
    monkeypatch.setattr(authorization, "_CHECK_SECONDS", 0.0)
    api.app.state.guard.reload()
    assert api.get(DEFAULT, headers=basic("bob", PASSWORD)).status_code == 200
    remove_entry(file, "bob")
    assert api.get(DEFAULT, headers=basic("bob", PASSWORD)).status_code == 401
    add_entry(file, Entry("bob", "basic", "read", ("*",), credentials_file.hash_password(b"battery staple")))
    assert api.get(DEFAULT, headers=basic("bob", PASSWORD)).status_code == 401
    assert api.get(DEFAULT, headers=basic("bob", "battery staple")).status_code == 200


@pytest.mark.parametrize("harm", ["missing", "torn", "open to others", "empty"])
def test_a_broken_file_changes_nothing(
    api: Api, file: Path, harm: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(authorization, "_CHECK_SECONDS", 0.0)
    api.app.state.guard.reload()
    good = file.read_bytes()
    if harm == "missing":
        file.rename(file.with_name("elsewhere"))
    elif harm == "torn":
        file.write_bytes(good[:-20])
    elif harm == "open to others":
        file.chmod(0o644)
    else:
        file.write_bytes(b"")
    assert api.get(DEFAULT, headers=bearer("root")).status_code == 200
    assert api.get(DEFAULT, headers={"Authorization": "Bearer x"}).status_code == 401
    assert api.get(DEFAULT).status_code == 401
    assert "stay in force" in caplog.text
    assert caplog.text.count("stay in force") == 1, "once, not with every request"
    if harm == "missing":
        file.with_name("elsewhere").rename(file)
    else:
        file.write_bytes(good)
        file.chmod(0o600)
    remove_entry(file, "writer")
    assert api.get(DEFAULT, headers=bearer("writer")).status_code == 401
    assert api.get(DEFAULT, headers=bearer("root")).status_code == 200


def test_no_start_with_a_broken_file(serve: Callable[..., Api], tmp_path: Path) -> None:
    for content in (None, b"{"):
        path = tmp_path / "broken.json"
        if content is not None:
            path.touch(0o600)
            path.write_bytes(content)
        with pytest.raises(Exception, match="broken.json"):
            serve(auth_file=str(path))


def test_one_token(serve: Callable[..., Api]) -> None:
    api = serve(auth_token="test-token")
    assert api.get(DEFAULT).headers.get_list("www-authenticate") == ['Bearer realm="chroma"']
    for headers in ({"Authorization": "Bearer test-token"}, {"X-Chroma-Token": "test-token"}):
        assert api.get(DEFAULT, headers=headers).status_code == 200
        assert api.get("/api/v2/auth/identity", headers=headers).json()["user_id"] == "anonymous"
    for headers in ({"Authorization": "Bearer other"}, basic("anonymous", "test-token")):
        assert api.get(DEFAULT, headers=headers).status_code == 401


def test_passwords_are_hashed_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(secret: str, password: bytes) -> bool:
        hashed.append(secret)
        return credentials_file.is_password(secret, password)

    monkeypatch.setattr(password_checks, "is_password", counted)
    for _ in range(3):
        assert api.get(DEFAULT, headers=basic("bob", PASSWORD)).status_code == 200
    assert len(hashed) == 1
    for user in ("bob", "nobody", "none"):  # a wrong password and an unknown user cost the same, once
        for _ in range(2):
            assert api.get(DEFAULT, headers=basic(user, "wrong")).status_code == 401
    assert len(hashed) == 4
    bob, nobody = hashed[1].split("$"), hashed[2].split("$")
    assert bob[:4] == nobody[:4] and bob[4:] != nobody[4:]


def test_too_many_passwords_at_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_checks, "_MOST_WAITING", 1)  # besides the one that is being checked
    entered, leave = threading.Event(), threading.Event()

    def slow(secret: str, password: bytes) -> bool:
        entered.set()
        leave.wait(20)
        return False

    monkeypatch.setattr(password_checks, "is_password", slow)

    async def several() -> list[int]:
        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            asked = [
                asyncio.ensure_future(client.get(DEFAULT, headers=basic("bob", f"guess {i}")))
                for i in range(4)
            ]
            while not entered.is_set() or sum(found.done() for found in asked) < 2:
                await asyncio.sleep(0.01)
            first = [found.result().status_code for found in asked if found.done()]
            token = await client.get(DEFAULT, headers=bearer("root"))
            leave.set()
            rest = [(await found).status_code for found in asked]
            return [*first, token.status_code, *sorted(rest)]

    assert asyncio.run(several()) == [503, 503, 200, 401, 401, 503, 503]


def test_nothing_is_logged_that_opens_anything(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    for headers in (
        bearer("root"),
        {"X-Chroma-Token": "wrong-token"},
        basic("bob", PASSWORD),
        basic("bob", "no"),
    ):
        api.get(DEFAULT, headers=headers)
    assert "wrong or missing credentials" in caplog.text
    sent = basic("bob", PASSWORD)["Authorization"].split()[1]
    for secret in (*TOKENS.values(), "wrong-token", PASSWORD, sent):
        assert secret not in caplog.text


def test_the_log_can_name_the_caller(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[request_context.Exchange] = []
    begin = request_context.begin

    def kept(*arguments: Any) -> request_context.Exchange:
        made.append(begin(*arguments))
        return made[-1]

    monkeypatch.setattr(request_context, "begin", kept)
    for headers in (bearer("root"), bearer("boss"), {}):  # let in, known and refused, unknown
        api.get(DEFAULT, headers=headers)
    assert [seen.caller for seen in made] == ["root", "boss", None]


def test_nothing_is_shown_in_reprs(file: Path) -> None:
    entry = credentials_file.read_entries(file)[0]
    assert entry.secret not in repr(entry)


def test_a_caller_sees_what_the_entry_says() -> None:
    caller = authorization.Caller("x", "write", ("a/b/*", "a/b"))
    assert caller.databases("a/b") is None, "the tenant a/b as a whole"
    assert caller.databases("a") == {"b"}
    assert caller.databases("") == caller.databases("*") == frozenset()
    assert caller.refusal("read", "a", "c") is not None
    assert caller.refusal("write", "a/b", "c") is None
    assert caller.refusal("admin", None, None) is not None


def test_the_app_without_authentication_is_open(serve: Callable[..., Api]) -> None:
    api = serve()
    assert api.get(DEFAULT, headers={"Authorization": "Bearer whatever"}).status_code == 200
