"""The wire protocol: the client's requests, the server's responses, the routes and the OpenAPI document.

The client calls the server through `Recorder`, which records both sides. In the first session, large batches
are sent as Arrow. In the second session, `Recorder` removes the fields in which our server announces its
features, so that the client treats it as any other server. Finally, raw requests are sent and the raw
responses are recorded.

Ids become numbers of equal length in the order of their appearance. Placeholders replace times, the version
and the address. For Arrow, the schema and the digest of all bytes are recorded, which are equal only with the
same pyarrow.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import chroma
from chroma.errors import ChromaError

HEADERS = ("accept", "content-type", "content-encoding", "authorization", "x-chroma-token", "x-extra")
ANSWERED = ("content-type", "retry-after", "allow", "content-encoding")
PREFLIGHT = "/api/v2/pre-flight-checks"
_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ROOT = Path(__file__).resolve().parent.parent.parent
_PATIENCE = 60.0


class Recorder(ThreadingHTTPServer):
    """Forwards requests to a server, and records them with their responses."""

    daemon_threads = True

    def __init__(self, port: int, disguised: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.disguised = disguised
        self.seen: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log."""

    def _pass_on(self) -> None:
        chunked = self.headers.get("transfer-encoding") == "chunked"
        body = b"".join(self._chunks()) if chunked else self._plain()
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=_PATIENCE)
        behind.putrequest(self.command, self.path, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("host", "transfer-encoding", "content-length", "connection"):
                behind.putheader(name, value)
        if body or self.command in ("POST", "PUT"):
            behind.putheader("Content-Length", str(len(body)))
        behind.endheaders(body)
        answer = behind.getresponse()
        content = answer.read()
        if self.server.disguised and self.path == PREFLIGHT:
            told = json.loads(content)
            content = json.dumps({key: told[key] for key in told if not isinstance(told[key], dict)}).encode()
        self.server.seen.append(
            {
                "request": f"{self.command} {self.path}",
                "sent": _chosen(self.headers.items(), HEADERS) | ({"chunked": "yes"} if chunked else {}),
                "body": body,
                "status": answer.status,
                "answered": _chosen(answer.getheaders(), ANSWERED),
                "answer": content,
            }
        )
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        behind.close()

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _pass_on

    def _plain(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()


def _chosen(headers: Any, names: tuple[str, ...]) -> dict[str, str]:
    given = {name.lower(): value for name, value in headers}
    return {name: given[name] for name in names if name in given}


def frozen() -> dict[str, Any]:
    """Return the exchanges and the OpenAPI document as JSON data."""
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as port:
        recorded: dict[str, Any] = {
            "client and our server": _session(port, disguised=False),
            "client and another server": _session(port, disguised=True),
            "raw": {name: _raw(port, request) for name, request in _requests().items()},
        }
        openapi = _shape(json.loads(_fetched(port, "/api/v2/openapi.json")))
    plain = _Plain()
    return {"wire": plain.value(recorded), "openapi": plain.value(openapi)}


@contextmanager
def _served(folder: Path) -> Iterator[int]:
    """Start a server with an empty folder and yield its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "chroma", "run", "--path", str(folder / "db"), "--port", str(port)]
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("CHROMA_")}
    environment["PYTHONPATH"] = str(_ROOT)
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=environment)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text("utf-8", "replace"))
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _session(port: int, disguised: bool) -> list[dict[str, Any]]:
    """Run the calls of a client. Returns each call with its requests and responses."""
    calls: list[dict[str, Any]] = []
    with Recorder(port, disguised) as recorder:
        thread = threading.Thread(target=recorder.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()

        def called(name: str, call: Callable[[], Any]) -> Any:
            del recorder.seen[:]
            result, failed = None, {}
            try:
                result = call()
            except ChromaError as error:
                failed = {"raised": f"{type(error).__name__}: {error}"}
            calls.append({"call": name, **failed, "exchanged": list(recorder.seen)})
            return result

        url = f"http://127.0.0.1:{recorder.server_address[1]}"
        _tour(called, url, "other" if disguised else "own")
        recorder.shutdown()
        thread.join()
    return calls


def _tour(called: Callable[[str, Callable[[], Any]], Any], url: str, tenant: str) -> None:
    settings = chroma.Settings(
        chroma_server_host=url,
        chroma_api_impl="chromadb.api.fastapi.FastAPI",
        chroma_server_headers={"X-Extra": "yes"},
        chroma_client_auth_provider="chromadb.auth.token_authn.TokenAuthClientProvider",
        chroma_client_auth_credentials="secret",
    )
    admin = called("AdminClient", lambda: chroma.AdminClient(settings))
    called("create_tenant", lambda: admin.create_tenant(tenant))
    called("get_tenant", lambda: admin.get_tenant(tenant))
    called("create_database", lambda: admin.create_database("notes", tenant))
    called("get_database", lambda: admin.get_database("notes", tenant))
    called("list_databases", lambda: admin.list_databases(limit=5, offset=0, tenant=tenant))
    client = called("HttpClient", lambda: chroma.HttpClient(url, tenant=tenant, database="notes"))
    for name in ("heartbeat", "get_version", "get_max_batch_size", "get_user_identity", "count_collections"):
        called(name, getattr(client, name))
    _collection(called, client)
    called("client.sql", lambda: client.sql("SELECT count(*) AS n FROM things"))
    called("list_collections", lambda: client.list_collections(limit=10))
    called("delete_collection", lambda: client.delete_collection("copy"))
    called("get_collection, missing", lambda: client.get_collection("copy"))
    called("set_tenant, missing", lambda: client.set_tenant("nobody"))
    called("reset", client.reset)
    called("delete_database", lambda: admin.delete_database("notes", tenant))
    client.close()
    admin.close()


def _collection(called: Callable[[str, Callable[[], Any]], Any], client: Any) -> None:
    things = called(
        "create_collection",
        lambda: client.create_collection(
            "things",
            metadata={"purpose": "wire", "n": 1, "half": 0.5, "yes": True},
            configuration={"hnsw": {"space": "cosine", "max_neighbors": 8}},
            embedding_function=None,
        ),
    )
    called("get_or_create", lambda: client.get_or_create_collection("things", embedding_function=None))
    called("get_collection", lambda: client.get_collection("things", embedding_function=None))
    called("get_collection_by_id", lambda: client.get_collection_by_id(things.id, embedding_function=None))
    _writes(called, things)
    _reads(called, things)
    called("modify", lambda: things.modify(name="things", metadata={"purpose": "changed"}))
    called("compact", things.compact)
    called("get_indexing_status", things.get_indexing_status)
    called("recall", lambda: things.recall(k=2, sample=3))
    called("facets", lambda: things.facets(["n", "tags"], where={"n": {"$gt": 0}}, limit=5))
    choices = {"max_distance": 1.5, "diversity": 0.25, "candidates": 20}
    called("query choices", lambda: things.query(query_embeddings=[[1, 0]], **choices)["ids"])
    called("fork", lambda: things.fork("copy"))
    called("delete ids", lambda: things.delete(ids=["a", "nothing"]))
    called("delete where", lambda: things.delete(where={"n": {"$gt": 50}}))
    called("count after", things.count)


def _writes(called: Callable[[str, Callable[[], Any]], Any], things: Any) -> None:
    three = {
        "ids": ["a", "b", "c/ü"],
        "embeddings": np.array([[1, 0], [0, 1], [3, 4]], np.float32),
        "documents": ["one", None, "drei ü"],
        "metadatas": [{"n": 1, "tags": ["x", "y"]}, None, {"n": 2.5, "yes": True, "text": "t"}],
        "uris": [None, "file:///b", None],
    }
    called("add", lambda: things.add(**three))
    called("add again", lambda: things.add(**three))
    called("upsert", lambda: things.upsert(ids=["b", "d"], embeddings=[[2, 0], [0, 2]]))
    called("update", lambda: things.update(ids=["a"], embeddings=[[4, 3]], metadatas=[{"n": None, "m": 1}]))
    many = np.arange(128, dtype=np.float32).reshape(64, 2) + 1
    called(
        "add many",
        lambda: things.add(
            ids=[f"m{i}" for i in range(64)],
            embeddings=many,
            documents=[f"document {i}" for i in range(64)],
            metadatas=[{"n": i} for i in range(64)],
        ),
    )
    called("wrong dimension", lambda: things.add(ids=["x"], embeddings=[[1, 2, 3]]))


def _reads(called: Callable[[str, Callable[[], Any]], Any], things: Any) -> None:
    where, contains = {"$and": [{"n": {"$gte": 1}}, {"n": {"$lt": 3}}]}, {"$contains": "document"}
    vectors = [[1, 0], [0.5, 0.25]]
    everything = ["documents", "embeddings", "metadatas", "uris"]
    called("count", things.count)
    called("count where", lambda: things.count(where={"n": 1}))
    called("get ids", lambda: things.get(ids=["a", "c/ü", "missing"], include=everything))
    called("get where", lambda: things.get(where=where, where_document=contains, limit=2, offset=1))
    called("get in order", lambda: things.get(order_by="n", limit=3, include=[]))
    called("get all", lambda: things.get(include=everything))
    called("peek", lambda: things.peek(2))
    called("query", lambda: things.query(query_embeddings=vectors, n_results=2, include=["distances"]))
    called(
        "query where",
        lambda: things.query(
            query_embeddings=vectors[:1], n_results=3, where=where, where_document=contains, ids=["m1", "m2"]
        ),
    )
    called("query exact", lambda: things.query(query_embeddings=vectors[:1], n_results=1, exact=True))
    called("query much", lambda: things.query(query_embeddings=vectors, n_results=60, include=everything))
    called("wrong where", lambda: things.get(where={"n": {"$near": 1}}))
    called("to_arrow", lambda: things.to_arrow(where={"n": {"$lt": 4}}))
    called("to_batches", lambda: list(things.to_batches()))
    called("sql", lambda: things.sql("SELECT id FROM records WHERE n = ? ORDER BY id", [2]))
    called("describe", things.describe)
    called("info", things.info)


# ---------------------------------------------------------------------------- raw requests


def _requests() -> dict[str, bytes]:
    """Return the raw requests. Each is sent on a separate connection."""
    base = "/api/v2/tenants/default_tenant/databases/default_database"
    text, stream = "application/json", "application/vnd.apache.arrow.stream"

    def request(method: str, path: str, body: bytes = b"", kind: str | None = None, more: str = "") -> bytes:
        kind = kind or (text if body else None)
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{more}"
        head += f"Content-Type: {kind}\r\n" if kind else ""
        head += f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
        return head.encode() + b"\r\n" + body

    missing = f"{base}/collections/00000000-0000-4000-8000-000000000000"
    packed = gzip.compress(b'{"name":"packed"}', mtime=0)
    return {
        "heartbeat": request("GET", "/api/v2/heartbeat"),
        "version": request("GET", "/api/v2/version"),
        "preflight": request("GET", PREFLIGHT),
        "identity": request("GET", "/api/v2/auth/identity"),
        "healthcheck": request("GET", "/api/v2/healthcheck"),
        "root": request("GET", "/api/v2"),
        "old api": request("GET", "/api/v1/heartbeat"),
        "nowhere": request("GET", "/nowhere"),
        "wrong method": request("DELETE", "/api/v2/heartbeat"),
        "head": request("HEAD", "/api/v2/heartbeat"),
        "preflight of a page": request(
            "OPTIONS", "/api/v2/heartbeat", more="Origin: http://x\r\nAccess-Control-Request-Method: GET\r\n"
        ),
        "another origin": request("GET", "/api/v2/version", more="Origin: http://elsewhere\r\n"),
        "no json": request("POST", f"{base}/collections", b"{no"),
        "no object": request("POST", f"{base}/collections", b"[]"),
        "no name": request("POST", f"{base}/collections", b"{}"),
        "bad name": request("POST", f"{base}/collections", b'{"name":"x"}'),
        "wrong kind": request("POST", f"{base}/collections", b"name=x", "text/plain"),
        "made": request("POST", f"{base}/collections", b'{"name":"raw","metadata":{"a":1}}'),
        "made twice": request("POST", f"{base}/collections", b'{"name":"raw"}'),
        "compressed": request("POST", f"{base}/collections", packed, more="Content-Encoding: gzip\r\n"),
        "listed": request("GET", f"{base}/collections?limit=1&offset=0"),
        "bad limit": request("GET", f"{base}/collections?limit=x"),
        "found": request("GET", f"{base}/collections/raw"),
        "missing collection": request("GET", f"{base}/collections/none"),
        "missing tenant": request("GET", "/api/v2/tenants/none"),
        "missing id": request("POST", f"{missing}/get", b"{}"),
        "bad id": request("POST", f"{base}/collections/raw-id/get", b"{}"),
        "no arrow": request("POST", f"{missing}/add", b"nonsense", stream),
        "search": request("POST", f"{missing}/search", b'{"searches":[]}'),
        "wrong host": b"GET /api/v2/version HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "no http": b"nonsense\r\n\r\n",
    }


def _raw(port: int, request: bytes) -> dict[str, bytes]:
    with socket.create_connection(("127.0.0.1", port), _PATIENCE) as connection:
        connection.sendall(request)
        parts = []
        while part := connection.recv(1 << 16):
            parts.append(part)
    return {"sent": request, "answer": b"".join(parts)}


def _fetched(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    connection.request("GET", path)
    content = connection.getresponse().read()
    connection.close()
    return content


def _shape(value: Any) -> Any:
    """Return an OpenAPI document without descriptions and summaries."""
    if isinstance(value, list):
        return [_shape(part) for part in value]
    if not isinstance(value, dict):
        return value
    prose = {name for name in ("description", "summary") if isinstance(value.get(name), str)}
    return {name: _shape(part) for name, part in value.items() if name not in prose}


# ---------------------------------------------------------------------------- normalisation


class _Plain:
    """Converts bytes to texts that are equal in every run."""

    def __init__(self) -> None:
        self._ids: dict[bytes, bytes] = {}

    def value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self.value(part) for name, part in value.items()}
        if isinstance(value, list):
            return [self.value(part) for part in value]
        if isinstance(value, str):
            return self._text(value.encode()).decode()
        return self._bytes(value) if isinstance(value, bytes) else value

    def _bytes(self, content: bytes) -> Any:
        if content.startswith(b"\xff\xff\xff\xff"):
            return self._arrow(content)
        head, _, body = content.partition(b"\r\n\r\n")
        if body.startswith(b"\xff\xff\xff\xff"):
            return [*self._text(head).decode().split("\r\n"), "", self._arrow(body)]
        try:
            lines = self._text(content).decode().split("\r\n")
        except UnicodeDecodeError:
            return {"hex": content.hex()}
        return lines if len(lines) > 1 else lines[0]

    def _arrow(self, content: bytes) -> Any:
        with pa.ipc.open_stream(content) as reader:
            schema = [f"{field.name}: {field.type}" for field in reader.schema]
            table = reader.read_all()
        # only schema metadata contain ids of collections
        told = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        return {
            "schema": schema,
            "metadata": self.value(told),
            "rows": table.num_rows,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    def _text(self, text: bytes) -> bytes:
        text = _ID.sub(lambda found: self._id(found.group()), text)
        text = re.sub(rb"(?im)^date: [^\r]*", b"date: NOW", text)
        text = re.sub(rb"(?im)^(chroma-trace-id|x-request-id): [0-9a-f]{32}", rb"\1: TRACE", text)
        text = re.sub(rb'("nanosecond heartbeat": ?)\d+', rb"\1NOW", text)
        text = re.sub(rb"(127\.0\.0\.1|localhost):\d+", rb"\1:PORT", text)
        return text.replace(chroma.__version__.encode(), b"VERSION")

    def _id(self, given: bytes) -> bytes:
        if given.startswith(b"00000000-"):
            return given
        return self._ids.setdefault(given, b"11111111-0000-4000-8000-%012d" % len(self._ids))
