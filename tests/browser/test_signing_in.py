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


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="chroma-console-", dir=scratch.home()) as name:
        folder = Path(name)
        for role, token in TOKENS.items():
            store.add_entry(
                folder / "auth.json",
                store.Entry(
                    name=role,
                    kind="token",
                    role=role,
                    access=(store.EVERYTHING,),
                    secret=store.hash_token(token.encode()),
                    created=store.now(),
                ),
            )
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


def test_the_token_of_browse_leaves_the_address(locked: Console) -> None:
    there = "%2Ft%2Fdefault_tenant%2Fd%2Fdefault_database%2Fc%2Fthings%2Fdata"
    locked.page.goto(f"{locked.url}/console/#token={TOKENS['read']}&to={there}")
    locked.page.get_by_text("2 matches").first.wait_for()
    assert "token" not in locked.page.url and locked.page.url.endswith("/c/things/data")
