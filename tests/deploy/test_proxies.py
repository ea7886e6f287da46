"""nginx and Caddy with the files of deploy/proxy, in front of a server, with a client on the other side."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import pytest
import trustme

import chroma

from ..support import scratch, server

PROXIES = Path(__file__).resolve().parents[2] / "deploy" / "proxy"
PATIENCE = 20.0  # seconds to start
NAME = "a/b %2F"  # of a tenant, with what a proxy may decode


@pytest.fixture(scope="module")
def behind() -> Iterator[server.Running]:
    with tempfile.TemporaryDirectory(prefix="chroma-proxies-", dir=scratch.home()) as folder:
        running = server.start(Path(folder))
        yield running
        assert server.ended(running) == 0


@contextmanager
def running(command: list[str], folder: Path, url: str, ca: Path) -> Iterator[None]:
    """A proxy that answers at `url` with a certificate that `ca` vouches for."""
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=os.environ | home)
    try:
        end = time.monotonic() + PATIENCE
        while not (ca.exists() and _answers(url, ca)):
            said = (folder / "log").read_text("utf-8", "replace")[-2000:]
            assert process.poll() is None and time.monotonic() < end, said
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(url: str, ca: Path) -> bool:
    try:
        return httpx.get(url, verify=ssl.create_default_context(cafile=ca), trust_env=False).status_code < 500
    except httpx.TransportError:
        return False


@pytest.fixture(params=["nginx.conf", "Caddyfile", "Caddyfile.prefix"])
def proxied(
    request: pytest.FixtureRequest, behind: server.Running, tmp_path: Path
) -> Iterator[tuple[str, Path]]:
    """The address of the server behind a proxy, and the file with the certificate that a client needs."""
    program = "nginx" if request.param == "nginx.conf" else "caddy"
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(
            f"{program} is missing: apt-get install {'nginx-light' if program == 'nginx' else 'caddy'}"
        )
    port = server.free_port()
    text = (PROXIES / request.param).read_text("utf-8")
    upstream = behind.url.removeprefix("http://")
    start = _nginx if program == "nginx" else _caddy
    command, ca = start(found, text, port, upstream, tmp_path)
    below = "/db" if "prefix" in request.param or program == "nginx" else ""
    url = f"https://localhost:{port}{below}"
    with running(command, tmp_path, f"{url}/api/v2/heartbeat", ca):
        yield url, ca


def _nginx(program: str, text: str, port: int, upstream: str, folder: Path) -> tuple[list[str], Path]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    for before, after in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("db.example.org;", "localhost;"),
        ("/etc/ssl/certs/db.example.org.pem", str(folder / "cert.pem")),
        ("/etc/ssl/private/db.example.org.key", str(folder / "key.pem")),
        ("server 127.0.0.1:8000;", f"server {upstream};"),
    ):
        assert before in text
        text = text.replace(before, after)
    (folder / "chroma.conf").write_text(text, "utf-8")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary}\ninclude {folder}/chroma.conf; }}\n",
        "utf-8",
    )
    return [program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")], folder / "ca.pem"


def _caddy(program: str, text: str, port: int, upstream: str, folder: Path) -> tuple[list[str], Path]:
    text = re.sub(r"\{\$DOMAIN:localhost\}", f"https://localhost:{port}", text)
    text = text.replace("{$UPSTREAM:127.0.0.1:8000}", upstream)
    # Of the machine, the test changes neither the trusted certificates nor port 80.
    text = text.replace(
        "admin off", "admin off\n\tskip_install_trust\n\tauto_https disable_redirects\n\tlocal_certs"
    )
    (folder / "Caddyfile").write_text(text, "utf-8")
    command = [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    return command, folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"


def test_a_client_works_through_the_proxy(proxied: tuple[str, Path]) -> None:
    url, ca = proxied
    vectors = np.random.default_rng(1).standard_normal((5000, 64)).astype(np.float32)
    ids = [f"i{row}" for row in range(len(vectors))]
    with chroma.HttpClient(url, ca=ca) as client:
        collection = client.get_or_create_collection("things", embedding_function=None)
        collection.upsert(ids=ids, embeddings=vectors, documents=["a text " * 50] * len(ids))
        assert collection.count() == 5000
        assert collection.query(query_embeddings=vectors[:3], n_results=1)["ids"] == [
            [each] for each in ids[:3]
        ]
        assert collection.to_arrow().num_rows == 5000
        client.delete_collection("things")


def test_names_arrive_as_they_were_sent(proxied: tuple[str, Path]) -> None:
    url, ca = proxied
    with httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False) as client:
        made = client.post(f"{url}/api/v2/tenants", json={"name": NAME})
        assert made.status_code in (200, 409), made.text
        found = client.get(f"{url}/api/v2/tenants/{quote(NAME, safe='')}")
        assert found.status_code == 200 and found.json()["name"] == NAME


def test_the_console_is_there_and_the_metrics_are_not(proxied: tuple[str, Path]) -> None:
    url, ca = proxied
    with httpx.Client(verify=ssl.create_default_context(cafile=ca), trust_env=False) as client:
        assert "<!doctype html>" in client.get(f"{url}/console/").text.lower()
        moved = client.get(f"{url}/", headers={"Accept": "text/html"})
        assert moved.status_code == 303 and moved.headers["location"] == "console/"
        assert client.get(f"{url}/metrics").status_code == 404
