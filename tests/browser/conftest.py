"""A server of ours with the console, and a browser that must load nothing from elsewhere and say nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import numpy as np
import pytest

import chroma

from ..support import chromium, scratch, server

ARGUMENTS = ("--no-sandbox", "--disable-gpu")
WIDTH = {"width": 1300, "height": 900}
SEES = """addEventListener("securitypolicyviolation", (event) =>
  console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI}`));"""
LARGE = 9_007_199_254_740_993  # 2^53 + 1, which is the first integer that JavaScript's numbers lack
MARKUP = "<img src=x onerror=alert(1)>"


class Console:
    """One page of the browser, and where the server is."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.url = page, url
        self.requests: list[str] = []
        self.said: list[str] = []
        page.set_default_timeout(15_000)
        page.add_init_script(SEES)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: message.type == "error" and self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: (self.said.append(f"a dialog: {dialog.message}"), dialog.dismiss()))

    def open(self, page: str, collection: str | None = None, /, **params: str) -> Any:
        """Open a page of the console by its address."""
        scope = "/t/default_tenant/d/default_database"
        scope += "" if collection is None else f"/c/{quote(collection, safe='')}"
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in params.items())
        self.page.goto(f"{self.url}/console/#{scope}/{page}{'?' if query else ''}{query}")
        self.page.locator("main h1").first.wait_for()
        return self.page

    def check(self) -> None:
        """Nothing came from elsewhere, the policy refused nothing, and no script failed."""
        elsewhere = [url for url in self.requests if not url.startswith((self.url, "data:", "blob:"))]
        assert not elsewhere
        assert not self.said


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="chroma-console-", dir=scratch.home()) as folder:
        running = server.start(Path(folder))
        yield running.url
        assert server.ended(running) == 0


@pytest.fixture(scope="module")  # not the session: while it is open, no other test can run an event loop
def browser() -> Iterator[Any]:
    with chromium.launched([*ARGUMENTS]) as opened:
        yield opened


@pytest.fixture
def console(browser: Any, url: str) -> Iterator[Console]:
    context = browser.new_context(viewport=WIDTH)
    opened = Console(context.new_page(), url)
    yield opened
    opened.check()
    context.close()


@pytest.fixture
def client(url: str) -> Iterator[Any]:
    with chroma.HttpClient(urlsplit(url).hostname or "", urlsplit(url).port or 0) as opened:
        yield opened


@pytest.fixture
def things(client: Any) -> Iterator[Any]:
    """120 records: two kinds, a number, a large integer, a float that is whole."""
    made = client.get_or_create_collection("things")
    vectors = np.random.default_rng(3).normal(size=(120, 8)).astype("f4")
    made.add(
        ids=[f"t{n:03}" for n in range(120)],
        embeddings=vectors,
        documents=[f"The thing number {n}, {'red' if n % 3 else 'blue'} and round." for n in range(120)],
        metadatas=[
            {"kind": "red" if n % 3 else "blue", "n": n, "large": LARGE + n, "whole": 1.0} for n in range(120)
        ],
    )
    yield made
    client.delete_collection("things")


@pytest.fixture
def needs(url: str) -> Callable[[str], None]:
    """Skips a test of a page whose route this server lacks."""

    def check(route: str) -> None:
        paths = httpx.get(f"{url}/api/v2/openapi.json", trust_env=False).json()["paths"]
        if not any(path.endswith(route) for path in paths):
            pytest.skip(f"the server has no route {route}")

    return check
