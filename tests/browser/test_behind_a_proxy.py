"""Under a prefix that a proxy takes away, everything stays under it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from .conftest import WIDTH, Console

PREFIX = "/x/y"
KEPT = ("content-type", "content-security-policy", "cache-control", "etag", "location")


@pytest.fixture
def prefixed(url: str) -> Iterator[str]:
    """The address of a proxy that passes on what is below the prefix."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pass_on(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            sent = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in {"host", "connection"}
            }
            sent["Accept-Encoding"] = "identity"
            answer = httpx.request(
                self.command,
                url + self.path.removeprefix(PREFIX),
                content=body,
                headers=sent,
                trust_env=False,
            )
            self.send_response(answer.status_code)
            for name in KEPT:
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_DELETE = pass_on

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}{PREFIX}"
        proxy.shutdown()


def test_a_prefix(browser: Any, prefixed: str, things: Any) -> None:
    context = browser.new_context(viewport=WIDTH, permissions=["clipboard-read", "clipboard-write"])
    console = Console(context.new_page(), prefixed)
    page = console.open("overview")
    page.get_by_role("link", name="things", exact=True).click()
    page.get_by_text("120 matches").first.wait_for()
    for name in ("Search", "Keys", "Map", "Duplicates", "Quality", "Import and export", "SQL", "Help"):
        page.get_by_role("link", name=name, exact=True).first.click()
        page.get_by_role("heading", name=name, exact=True).first.wait_for()
    page = console.open("record", "things", id="t001")
    page.get_by_role("button", name="Copy as Python").click()
    page.get_by_text("Copied.").wait_for()
    assert f'HttpClient("{prefixed}")' in page.evaluate("navigator.clipboard.readText()")
    console.check()  # nothing was asked for outside the prefix
    context.close()
