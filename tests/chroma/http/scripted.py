"""A server that answers as a test says, to see what a client sends and what it makes of answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

INFO = {
    "id": "11111111-1111-1111-1111-111111111111",
    "name": "things",
    "tenant": "default_tenant",
    "database": "default_database",
    "metadata": None,
    "dimension": None,
    "configuration_json": {"hnsw": {"space": "l2"}, "spann": None, "embedding_function": None},
}


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any  # of JSON, else bytes
    connection: int


@dataclass
class Reply:
    """What to send back. `drop`: close the connection instead, without a word, or, where `after` is
    given, after so many bytes of the body."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    after: int | None = None


class Scripted:
    """Answers the calls that connect a client; every other by `script`, a function or a queue."""

    def __init__(self, preflight: dict[str, Any]) -> None:
        self.preflight = preflight
        self.requests: list[Request] = []
        self.queue: list[Reply] = []
        self.script: Callable[[Request], Reply] = lambda request: self.queue.pop(0) if self.queue else Reply()
        self.port = 0

    def reply(self, request: Request) -> Reply:
        route = request.path.removeprefix("/api/v2").partition("?")[0]
        known = {
            "/pre-flight-checks": self.preflight,
            "/auth/identity": {"user_id": "", "tenant": "default_tenant", "databases": ["default_database"]},
            "/tenants/default_tenant": {"name": "default_tenant"},
            "/tenants/default_tenant/databases/default_database": {
                "id": str(INFO["id"]), "name": "default_database", "tenant": "default_tenant",
            },
            "/tenants/default_tenant/databases/default_database/collections/things": INFO,
        }  # fmt: skip
        self.requests.append(request)
        return Reply(200, known[route]) if route in known else self.script(request)

    def sent(self, end: str) -> list[Request]:
        """The requests whose path ends so."""
        return [request for request in self.requests if request.path.partition("?")[0].endswith(end)]


@contextmanager
def scripted(**preflight: Any) -> Iterator[Scripted]:
    """A server on loopback; `preflight` is added to what it says of itself."""
    server = Scripted({"max_batch_size": 1000, "supports_base64_encoding": True} | preflight)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are two writes: no 40 ms between them

        def answer(self) -> None:
            text = self.read_body()
            is_json = self.headers.get("Content-Type") == "application/json"
            body = json.loads(text) if text and is_json else text or None
            connection = id(self.connection)
            reply = server.reply(Request(self.command, self.path, dict(self.headers), body, connection))
            if reply.drop and reply.after is None:
                self.close_connection = True
                return
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(content)), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content[: reply.after])
            self.close_connection = self.close_connection or reply.drop

        def read_body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        do_GET = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    class Listener(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that have gone are what some tests are about."""

    listener = Listener(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server.port = listener.server_address[1]
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
