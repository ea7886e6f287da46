"""Signing in: readers, writers, wrong credentials, signing out, and the token of `chroma browse`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.server.security import credentials_file as store

from ..support import scratch, server
from .conftest import WIDTH, Console

TOKENS = {role: f"the-token-of-the-{role}-0123456789" for role in ("read", "write", "admin")}


def add(file: Path, name: str, role: str, token: str, expires: str | None = None) -> None:
    """An entry for a token of everything."""
    hashed = store.hash_token(token.encode())
    entry = store.Entry(name, "token", role, (store.EVERYTHING,), hashed, store.now(), expires)
    store.add_entry(file, entry)


@pytest.fixture(scope="module")
def credentials_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chroma-console-", dir=scratch.home()) as name:
        for role, token in TOKENS.items():
            add(Path(name) / "auth.json", role, role, token)
        yield Path(name) / "auth.json"


@pytest.fixture(scope="module")
def guarded(credentials_file: Path) -> Iterator[str]:
    folder = credentials_file.parent
    with chroma.PersistentClient(str(folder / "db")) as client:
        client.create_collection("things").add(
            ids=["a", "b"], embeddings=[[1, 0], [0, 1]], metadatas=[{"n": 1}, {"n": 2}]
        )
    running = server.start(folder, "--auth-file", str(folder / "auth.json"))
    yield running.url
    assert server.ended(running) == 0


@pytest.fixture
def locked(browser: Any, guarded: str) -> Iterator[Console]:
    context = browser.new_context(viewport=WIDTH)
    opened = Console(context.new_page(), guarded)
    yield opened
    opened.said[:] = [text for text in opened.said if "401" not in text]  # the browser reports the status
    opened.check()
    context.close()


def sign_in(console: Console, token: str) -> Any:
    page = console.open("data", "things")
    page.get_by_label("Token", exact=True).last.fill(token)
    page.get_by_role("button", name="Sign in").click()
    return page


def test_a_wrong_token(locked: Console) -> None:
    page = sign_in(locked, "wrong")
    page.get_by_role("alert").get_by_text("does not know these credentials").wait_for()
    assert page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("role", ["read", "write", "admin"])
def test_what_a_role_may_do_is_shown(locked: Console, role: str) -> None:
    page = sign_in(locked, TOKENS[role])
    page.get_by_text("2 matches").first.wait_for()
    page.reload()
    page.get_by_text("2 matches").first.wait_for()  # still signed in
    page.get_by_role("link", name="a", exact=True).click()
    page.get_by_role("button", name="Copy as Python").wait_for()
    assert page.get_by_role("button", name="Edit", exact=True).count() == (role != "read")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert page.evaluate("sessionStorage.length") == 0


THERE = "%2Ft%2Fdefault_tenant%2Fd%2Fdefault_database%2Fc%2Fthings%2Fdata"


def tickets(page: Any, answers: dict[str, str]) -> list[dict[str, str]]:
    """The route that exchanges tickets, played by the test. Each ticket is good once."""
    headers = []

    def answer(route: Any) -> None:
        headers.append(route.request.headers)
        token = answers.pop(route.request.post_data_json["ticket"], None)
        if token is None:
            route.fulfill(status=401, json={"error": "AuthError", "message": "The ticket was used already."})
        else:
            route.fulfill(json={"token": token})

    page.route("**/chroma-arrow/ticket", answer)
    return headers


def test_a_ticket_is_exchanged_once_and_leaves_the_address(locked: Console) -> None:
    page = locked.page
    headers = tickets(page, {"t/1": TOKENS["read"]})
    page.goto(f"{locked.url}/console/#ticket=t%2F1&to={THERE}")
    page.get_by_text("2 matches").first.wait_for()
    assert "ticket" not in page.url and page.url.endswith("/c/things/data")
    assert "authorization" not in headers[0]
    page.get_by_role("button", name="Sign out").click()
    page.goto("about:blank")
    page.goto(f"{locked.url}/console/#ticket=t%2F1&to={THERE}")
    page.get_by_role("alert").get_by_text("The ticket was used already.").wait_for()
    page.get_by_role("heading", name="Sign in").wait_for()


def test_a_link_does_not_replace_credentials_unasked(locked: Console) -> None:
    page = sign_in(locked, TOKENS["admin"])
    page.get_by_text("2 matches").first.wait_for()
    tickets(page, {"t2": TOKENS["read"], "t3": TOKENS["read"]})
    page.goto("about:blank")
    page.goto(f"{locked.url}/console/#ticket=t2&to={THERE}")
    page.get_by_role("button", name="Keep those of this tab").click()
    page.get_by_text("admin (admin)").wait_for()
    page.goto("about:blank")
    page.goto(f"{locked.url}/console/#ticket=t3&to={THERE}")
    page.get_by_role("dialog").get_by_role("button", name="Sign in").click()
    page.get_by_text("read (read)").wait_for()


def test_credentials_that_expire_ask_again_and_keep_the_place(
    locked: Console, credentials_file: Path
) -> None:
    short = "a-token-that-expires-soon-0123456789"
    add(credentials_file, "short", "write", short, store.now(4))
    locked.page.wait_for_timeout(1200)  # the server reads the file at most every second
    page = sign_in(locked, short)
    page.get_by_text("2 matches").first.wait_for()
    page.wait_for_timeout(3500)
    page.get_by_role("button", name="Reload").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    page.get_by_label("Token", exact=True).last.fill(TOKENS["read"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("2 matches").first.wait_for()


def test_signing_out_forgets_statements(locked: Console) -> None:
    sign_in(locked, TOKENS["read"]).get_by_text("2 matches").first.wait_for()
    page = locked.open("sql", sql="SELECT 42 AS answer")
    page.get_by_role("cell", name="42").wait_for()
    page.get_by_label("Colours").select_option("dark")
    assert page.evaluate("Object.keys(localStorage).length") == 2
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="Sign in").wait_for()
    assert page.evaluate("Object.keys(localStorage)") == ["chroma-console:theme"]


def test_a_reader_sees_no_page_of_the_server(locked: Console) -> None:
    page = sign_in(locked, TOKENS["read"])
    page.get_by_role("link", name="SQL", exact=True).wait_for()
    assert page.get_by_role("link", name="Server", exact=True).count() == 0


def test_tokens_of_the_other_header(browser: Any, tmp_path: Path) -> None:
    secret = "a-token-in-its-own-header-0123456789"
    add(tmp_path / "auth.json", "admin", "admin", secret)
    arguments = ("--auth-file", str(tmp_path / "auth.json"), "--auth-token-header", "x-chroma-token")
    running = server.start(tmp_path, *arguments)
    context = browser.new_context()
    page = Console(context.new_page(), running.url)
    page.open("overview")
    page.page.get_by_label("Token", exact=True).last.fill(secret)
    page.page.get_by_role("button", name="Sign in").click()
    page.page.get_by_role("heading", name="Overview").wait_for()
    context.close()
    assert server.ended(running) == 0
