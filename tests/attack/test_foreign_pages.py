"""Pages of other sites in the browser of somebody who runs a server: nothing is done for them.

The first half sends what browsers send; the second is a browser.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ..chroma.server.processes import DATABASE, Served, client, running
from ..support import chromium

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain")
EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running(tmp_path_factory.mktemp("foreign") / "db", "--allow-reset") as found:
        yield found


class Stored:
    """A database with one collection of one record, and whether it is as it was."""

    def __init__(self, url: str) -> None:
        self.url = url
        with client() as http:
            http.post(f"{url}/api/v2/reset", headers={"content-type": "application/json"})
            made = http.post(f"{url}{DATABASE}/collections", json={"name": "mine"}).json()
            self.path = f"{DATABASE}/collections/{made['id']}"
            http.post(f"{url}{self.path}/add", json={"ids": ["a"], "embeddings": [[1.0]]})
        self.before = self.state()

    def state(self) -> Any:
        with client() as http:
            tenants = http.get(f"{self.url}/api/v2/tenants/evil").status_code
            names = [entry["name"] for entry in http.get(f"{self.url}{DATABASE}/collections").json()]
            return names, http.get(f"{self.url}{self.path}/count").json(), tenants

    def requests(self) -> list[tuple[str, str, str]]:
        """What an enemy would have done: method, path, body."""
        record = '{"ids": ["evil"], "embeddings": [[2.0]]}'
        return [
            ("POST", "/api/v2/reset", ""),
            ("POST", f"{self.path}/chroma-arrow/compact", ""),
            ("POST", f"{DATABASE}/chroma-arrow/compact", ""),
            ("POST", f"{self.path}/add", record),
            ("POST", f"{self.path}/upsert", record),
            ("POST", f"{self.path}/delete", '{"ids": ["a"]}'),
            ("POST", f"{DATABASE}/collections", '{"name": "evil"}'),
            ("POST", "/api/v2/tenants", '{"name": "evil"}'),
            ("PUT", self.path, '{"new_name": "evil"}'),
            ("DELETE", f"{DATABASE}/collections/mine", ""),
            ("DELETE", DATABASE, ""),
        ]


@pytest.fixture
def stored(served: Served) -> Stored:
    return Stored(served.url)


def refused(answer: httpx.Response, status: int, setting: str) -> None:
    assert answer.status_code == status, answer.text
    assert setting in answer.json()["message"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "page",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "http://localhost"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": EVIL, "sec-fetch-site": "cross-site"},
        {"origin": "http://localhost:1", "sec-fetch-site": "same-site"},
        {"origin": "::"},
    ],
)
@pytest.mark.parametrize("kind", [None, "application/json", *FORMS])
def test_foreign_pages_change_nothing(stored: Stored, page: dict[str, str], kind: str | None) -> None:
    headers = page if kind is None else page | {"content-type": kind}
    with client() as http:
        for method, path, body in stored.requests():
            answer = http.request(method, f"{stored.url}{path}", content=body.encode(), headers=headers)
            refused(answer, 403, "--cors-origin")
    assert stored.state() == stored.before


@pytest.mark.parametrize("kind", FORMS)
def test_forms_change_nothing(stored: Stored, kind: str) -> None:
    """Also from programs, and also without a body."""
    with client() as http:
        for method, path, body in stored.requests():
            answer = http.request(
                method, f"{stored.url}{path}", content=body.encode(), headers={"content-type": kind}
            )
            refused(answer, 415, "application/json")
    assert stored.state() == stored.before


def test_own_pages_say_what_they_send(stored: Stored) -> None:
    for page in ({"origin": stored.url}, {"origin": stored.url, "sec-fetch-site": "same-origin"}):
        with client() as http:
            bare = http.post(f"{stored.url}{stored.path}/delete", content=b'{"ids": ["a"]}', headers=page)
            refused(bare, 415, "application/json")
            named = http.post(f"{stored.url}{stored.path}/delete", json={"ids": ["none"]}, headers=page)
            assert named.json() == {"deleted": 0}
    assert stored.state() == stored.before


def test_programs_go_on(stored: Stored) -> None:
    """As Chroma's clients send: with a type and no body, with neither, and a body without a type."""
    with client() as http:
        body = b'{"ids": ["b"], "embeddings": [[2.0]]}'
        assert http.post(f"{stored.url}{stored.path}/add", content=body).status_code == 201
        json_type = {"content-type": "application/json"}
        assert http.post(f"{stored.url}/api/v2/reset", headers=json_type).json() is True
        assert http.post(f"{stored.url}/api/v2/reset").json() is True


def test_names_that_were_led_here(stored: Stored) -> None:
    """A rebound name: the browser takes this server for the enemy's, so there is no foreign origin."""
    port = urlsplit(stored.url).port
    evil = ["evil.example", f"evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example"]
    for host in (
        *evil,
        "x",
        "evil.local",
        ":",
        "evil.example:",
        "[",
        "localhost:1:2",
        "evil.example.",
        f"127.0.0.1@{evil[0]}",
    ):
        page = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
        with client() as http:
            refused(
                http.get(f"{stored.url}{DATABASE}/collections", headers={"host": host}), 421, "--allowed-host"
            )
            for method, path, body in stored.requests():
                headers = page | {"content-type": "application/json"}
                answer = http.request(method, f"{stored.url}{path}", content=body.encode(), headers=headers)
                refused(answer, 421, "--allowed-host")
    for host in (
        "",
        "localhost",
        "localhost:",
        "localhost.localdomain",
        "host.docker.internal:8000",
        "LOCALHOST:80",
        "a.localhost",
        "127.0.0.1",
        "127.1.2.3:9",
        "[::1]",
        "[::1]:80",
        "10.1.2.3",
    ):
        with client() as http:
            assert http.get(f"{stored.url}{DATABASE}/collections", headers={"host": host}).status_code == 200
    assert stored.state() == stored.before


@pytest.mark.parametrize(
    ("options", "right", "wrong"),
    [
        (("--allowed-host", "db.example", "--allowed-host", "*.inner.example"),
         ("db.example", "a.inner.example:1", "localhost"), ("inner.example", "xdb.example", "chroma")),
        (("--host", "0.0.0.0", "--allow-remote-without-auth"),
         ("chroma", "chroma.prod.svc.cluster.local:80", "172.17.0.2:8000", "localhost", "chroma.prod.svc"),
         ("evil.example", "chroma.prod.evil.example", "evil.dev", "local.evil.example")),
        (("--host", "0.0.0.0", "--allow-remote-without-auth", "--allowed-host", "*"), ("evil.example",), ()),
    ],
)  # fmt: skip
def test_names_of_a_server(
    tmp_path: Path, options: tuple[str, ...], right: tuple[str, ...], wrong: tuple[str, ...]
) -> None:
    with running(tmp_path / "db", *options) as found, client() as http:
        url = found.url.replace("0.0.0.0", "127.0.0.1")
        for hosts, status in ((right, 200), (wrong, 421)):
            for host in hosts:
                answer = http.get(f"{url}{DATABASE}/collections", headers={"host": host})
                assert answer.status_code == status, host


def test_the_page_of_the_server_is_held_to_itself(served: Served) -> None:
    with client() as http:
        answer = http.get(f"{served.url}/docs")
        policy = answer.headers["content-security-policy"]
        assert (
            "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        )
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        for path in ("/docs", "/metrics", "/api/v2", "/api/v1", "/none", "/api/v2/tenants/none"):
            assert http.get(f"{served.url}{path}").headers["x-content-type-options"] == "nosniff"


# ---------------------------------------------------------------------------- in a browser

ATTACK = """<!doctype html><meta charset=utf-8><title>waiting</title><iframe id=sink name=sink></iframe>
<script>
const target = TARGET, requests = REQUESTS;
async function quietly(made) { try { await made(); } catch (error) {} }
function submitted(path, kind, field) {
  return new Promise(done => {
    const form = document.createElement("form");
    Object.assign(form, {method: "post", action: target + path, enctype: kind, target: "sink"});
    if (field) {
      const input = document.createElement("input");
      input.name = field.slice(0, -1) + ', "x": "'; input.value = '"}';
      form.append(input);
    }
    document.body.append(form);
    document.getElementById("sink").onload = done;
    setTimeout(done, 1000);
    form.submit();
  });
}
(async () => {
  for (const [method, path, body] of requests) {
    for (const kind of [null, "text/plain", "application/x-www-form-urlencoded", "application/json"]) {
      const headers = kind === null ? {} : {"content-type": kind};
      const sent = !body ? undefined : kind === null ? new Blob([body]) : body;
      for (const mode of ["cors", "no-cors"]) {
        const asked = {method, mode, headers, body: sent, credentials: "include"};
        await quietly(() => fetch(target + path, asked));
      }
      if (method === "POST") await quietly(async () => {
        navigator.sendBeacon(target + path, kind === null ? sent : new Blob([body || ""], {type: kind}));
      });
    }
    if (method === "POST") {
      await submitted(path, "text/plain", body);
      await submitted(path, "application/x-www-form-urlencoded", "");
    }
  }
  let read = "";
  await quietly(async () => { read = await (await fetch(target + "/api/v2/version")).text(); });
  document.title = "done" + read;
})();
</script>"""


@contextmanager
def site(page: str) -> Iterator[str]:
    """A site of an enemy: the page, at any address of a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=partial(server.serve_forever, 0.05))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, with evil.example led to this machine."""
    rules = "--host-resolver-rules=MAP evil.example 127.0.0.1"
    with chromium.launched([*ARGUMENTS, rules]) as opened:
        yield opened


def attacked(browser: Any, address: str) -> str:
    """What the title of the hostile page is in the end."""
    page = browser.new_page()
    try:
        page.goto(address)
        page.wait_for_function("document.title.startsWith('done')", timeout=60_000)
        return str(page.title())
    finally:
        page.close()


def hostile(stored: Stored, target: str) -> str:
    return ATTACK.replace("TARGET", json.dumps(target)).replace("REQUESTS", json.dumps(stored.requests()))


def test_a_hostile_page(browser: Any, stored: Stored) -> None:
    with site(hostile(stored, stored.url)) as elsewhere:
        assert attacked(browser, elsewhere) == "done"
        assert stored.state() == stored.before
        assert attacked(browser, elsewhere.replace("127.0.0.1", "localhost")) == "done"
    assert stored.state() == stored.before


def test_a_hostile_page_of_a_rebound_name(browser: Any, stored: Stored) -> None:
    """The enemy's name leads to this server now: requests of its page are of the same origin."""
    port = urlsplit(stored.url).port
    page = browser.new_page()
    try:
        answer = page.goto(f"{EVIL}:{port}/docs")
        assert answer.status == 421
        for method, path, body in [("GET", f"{DATABASE}/collections", ""), *stored.requests()]:
            status = page.evaluate(
                "([method, path, body]) => fetch(path, {method, body: body || undefined, headers: "
                "{'content-type': 'application/json'}}).then(answer => answer.status)",
                [method, path, body],
            )
            assert status == 421, (method, path)
    finally:
        page.close()
    assert stored.state() == stored.before


def test_a_page_that_may(browser: Any, tmp_path: Path) -> None:
    """An origin that the owner named goes on: with a body, and with nothing, as Chroma's client resets."""
    with site("<!doctype html><title>app</title>") as app:
        with running(tmp_path / "db", "--allow-reset", "--cors-origin", app) as found:
            stored = Stored(found.url)
            page = browser.new_page()
            page.goto(app)
            made = page.evaluate(
                "url => fetch(url, {method: 'POST', headers: {'content-type': 'application/json'}, "
                "body: JSON.stringify({name: 'ours'})}).then(answer => answer.json())",
                f"{found.url}{DATABASE}/collections",
            )
            assert made["name"] == "ours" and stored.state()[0] == ["mine", "ours"]
            reset = "url => fetch(url, {method: 'POST'}).then(answer => answer.json())"
            assert page.evaluate(reset, f"{found.url}/api/v2/reset") is True
            page.close()


def test_the_page_of_the_server_in_a_browser(browser: Any, served: Served) -> None:
    """Its style is applied, nothing is blocked that it needs, and no other page can show it inside itself."""
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{served.url}/docs")
    assert page.evaluate("getComputedStyle(document.querySelector('ul')).listStyleType") == "none"
    assert page.evaluate("document.querySelectorAll('section').length") > 30
    assert not [text for text in said if "Content Security Policy" in text], said
    framing = f"<!doctype html><iframe src='{served.url}/docs' onload='document.title=\"loaded\"'></iframe>"
    with site(framing) as elsewhere:
        page.goto(elsewhere)
        page.wait_for_function("document.title === 'loaded'")
        inner = page.frames[1]
        assert inner.evaluate("document.querySelectorAll('section').length") == 0
    page.close()
