"""`chroma browse`: a console on a free port, read-only unless asked, for whoever has the ticket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

import chroma
from chroma.cli import browse as module
from chroma.cli import cli

from ..server.processes import eventually

ROOT = Path(__file__).resolve().parents[3]
API = "api/v2/tenants/default_tenant/databases/default_database/collections"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with chroma.PersistentClient(tmp_path / "db") as client:
        client.create_collection("things", embedding_function=None).add(ids=["a"], embeddings=[[1.0]])
    return tmp_path / "db"


@pytest.mark.parametrize(("options", "role"), [((), "read"), (("--write",), "admin")])
def test_browse(database: Path, tmp_path: Path, options: tuple[str, ...], role: str) -> None:
    command = [sys.executable, "-m", "chroma", "browse", str(database), "things", "--no-open", *options]
    private = tmp_path / "private"
    private.mkdir()
    environment = {**os.environ, "TMPDIR": str(private)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        try:
            assert process.stdout is not None
            link = process.stdout.readline().split()[-1]
            base, _, fragment = link.partition("console/#")
            ticket, _, place = fragment.removeprefix("ticket=").partition("&")
            assert place == "to=%2Ft%2Fdefault_tenant%2Fd%2Fdefault_database%2Fc%2Fthings%2Fdata"
            assert base.startswith("http://127.0.0.1:")
            with httpx.Client(base_url=base, trust_env=False, headers={"x-chroma-console": "1"}) as web:
                assert web.get(API).status_code == 401
                exchanged = web.post("api/v2/chroma-arrow/ticket", json={"ticket": ticket})
                assert web.post("api/v2/chroma-arrow/ticket", json={"ticket": ticket}).status_code == 401
                web.headers["authorization"] = f"Bearer {exchanged.json()['token']}"
                assert web.get("api/v2/auth/identity").json()["role"] == role
                assert [found["name"] for found in web.get(API).json()] == ["things"]
                made = web.post(API, json={"name": "other"})
                assert made.status_code == (200 if role == "admin" else 403)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert not list(private.iterdir())


def test_the_folder_and_the_collection_must_be_there(database: Path, tmp_path: Path) -> None:
    for arguments in ([str(tmp_path / "none")], [str(database), "none"]):
        result = CliRunner().invoke(cli, ["browse", "--no-open", *arguments])
        assert result.exit_code != 0 and "none" in result.output
    assert not (tmp_path / "none").exists()


def test_the_link_is_no_argument_of_the_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    page = tmp_path / "open.html"
    module._open(page, "http://127.0.0.1:1/console/#ticket=secret&to=x")
    assert "secret" not in opened[0] and opened[0].startswith("file://")
    assert "#ticket=secret&amp;to=x" in page.read_text() and page.stat().st_mode & 0o077 == 0


_BROWSER = """import pathlib, re, sys, urllib.parse, urllib.request
page = pathlib.Path(urllib.parse.urlsplit(sys.argv[1]).path).read_text()
link = re.search("url=([^#]*)", page)[1]
said = urllib.request.urlopen(link, timeout=20).read()
pathlib.Path(sys.argv[0]).with_suffix(".said").write_bytes(said)
"""


def test_a_browser_in_the_terminal_does_not_stop_the_server(database: Path, tmp_path: Path) -> None:
    """Such a browser, for example w3m, returns when it ends. It must find a server that answers."""
    script = tmp_path / "browser.py"
    script.write_text(_BROWSER, "utf-8")
    environment = {**os.environ, "BROWSER": f"{sys.executable} {script} %s", "no_proxy": "*"}
    command = [sys.executable, "-m", "chroma", "browse", str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        try:
            eventually(script.with_suffix(".said").exists, "the browser shows the console")
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert b"<!doctype html>" in script.with_suffix(".said").read_bytes().lower()
