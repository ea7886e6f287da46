"""What an operator asks of a server: backups through it, metrics on their own port, the right folder."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

import chroma
from chroma.errors import InvalidArgumentError
from chroma.maintenance import backup_series
from chroma.server import metrics_listener
from chroma.server.run import OpenFolder
from chroma.server.settings.server_settings import ServerSettings

from .conftest import Api, refused
from .processes import client, eventually, running

BACKUP = "/api/v2/chroma-arrow/backup"


def test_backup_and_pruning(
    serve: Callable[..., Api], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api, backups = serve(backup_dir=str(tmp_path / "backups")), tmp_path / "backups"
    path = api.collection()
    api.post(f"{path}/add", {"ids": ["a"], "embeddings": [[1.0]]})
    times = iter(["2026-01-01T00-00-00Z", "2026-01-02T00-00-00Z", "2026-01-03T00-00-00Z"])
    monkeypatch.setattr(backup_series, "new_name", lambda: next(times))
    first = api.post(BACKUP)
    assert first.status_code == 200, first.text
    assert (first.json()["name"], first.json()["pruned"]) == ("2026-01-01T00-00-00Z", [])
    assert api.post(BACKUP, {"name": "before-upgrade"}).json()["name"] == "before-upgrade"
    assert api.post(BACKUP, {"keep": 2}).json()["pruned"] == []
    third = api.post(BACKUP, {"keep": 2, "verify": True}).json()
    assert third["pruned"] == ["2026-01-01T00-00-00Z"]
    left = ["2026-01-02T00-00-00Z", "2026-01-03T00-00-00Z", "before-upgrade"]
    assert sorted(os.listdir(backups)) == left
    chroma.restore(backups / "2026-01-03T00-00-00Z", tmp_path / "restored")
    with chroma.PersistentClient(tmp_path / "restored") as restored:
        assert restored.get_collection("things").count() == 1
    scraped = api.get("/metrics").text
    found = re.search(r"(?m)^chroma_last_backup_timestamp_seconds (\S+)", scraped)
    assert found and abs(float(found[1]) - time.time()) < 600
    assert re.search(r"(?m)^chroma_disk_free_bytes [1-9]", scraped)
    assert re.search(r"(?m)^chroma_disk_size_bytes [1-9]", scraped)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/tmp/x", "a b", "-x", "x\n", "é", "a" * 101])
def test_a_name_never_leaves_the_folder(serve: Callable[..., Api], tmp_path: Path, name: str) -> None:
    api = serve(backup_dir=str(tmp_path / "backups"))
    refused(api.post(BACKUP, {"name": name}), 400, "InvalidArgumentError")
    assert not (tmp_path / "backups").exists()


def test_a_link_is_no_place_for_a_backup(serve: Callable[..., Api], tmp_path: Path) -> None:
    api, outside = serve(backup_dir=str(tmp_path / "backups")), tmp_path / "outside"
    (tmp_path / "backups").mkdir()
    outside.mkdir()
    (tmp_path / "backups" / "there").symlink_to(outside)
    assert "is a link" in refused(api.post(BACKUP, {"name": "there"}), 400, "InvalidArgumentError")
    assert not list(outside.iterdir())


def test_one_backup_runs_at_a_time(
    serve: Callable[..., Api], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call that was answered with 504 goes on. Who tries again must not start another copy."""
    api, begun, go = serve(backup_dir=str(tmp_path / "backups")), threading.Event(), threading.Event()
    backup = type(api.backend).backup

    def slow(*arguments: Any) -> Any:
        begun.set()
        assert go.wait(30)
        return backup(*arguments)

    monkeypatch.setattr(type(api.backend), "backup", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(api.post, BACKUP, {"name": "one"})
        assert begun.wait(30)
        second = api.post(BACKUP, {"name": "two"})
        go.set()
        assert first.result(30).status_code == 200
    assert second.status_code == 409 and "is running" in second.json()["message"]
    assert not (tmp_path / "backups" / "two").exists()
    assert api.post(BACKUP, {"name": "two"}).status_code == 200


def test_backups_need_the_option(api: Api) -> None:
    assert "--backup-dir" in refused(api.post(BACKUP), 403, "AuthorizationError")


def test_require_existing(tmp_path: Path) -> None:
    settings = ServerSettings(path=str(tmp_path / "db"), require_existing=True)
    for made in (False, True):
        if made:
            (tmp_path / "db").mkdir()
        with pytest.raises(
            InvalidArgumentError, match=r"holds no database.*mount.*without --require-existing"
        ):
            OpenFolder(settings)
    assert not list((tmp_path / "db").iterdir())
    chroma.PersistentClient(tmp_path / "db").close()
    with OpenFolder(settings):
        pass


@pytest.mark.parametrize("address", ["9464", "localhost", "localhost:", ":9464", "localhost:x", "a:70000"])
def test_addresses_of_metrics(address: str) -> None:
    with pytest.raises(InvalidArgumentError, match="metrics_listen is .*expected HOST:PORT"):
        ServerSettings(metrics_listen=address)


def test_metrics_listen_needs_metrics() -> None:
    with pytest.raises(InvalidArgumentError, match="--no-metrics"):
        ServerSettings(metrics_listen="127.0.0.1:0", metrics=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_without_credentials(tmp_path: Path, workers: int) -> None:
    options = ("--metrics-listen", "127.0.0.1:0", "--workers", str(workers))
    with running(tmp_path / "db", *options, env={"CHROMA_AUTH_TOKEN": "t" * 40}) as served, client() as http:
        eventually(lambda: "metrics on " in served.text(), "the metrics are announced")
        found = re.search(r"metrics on (http://127.0.0.1:\d+)/metrics", served.text())
        assert found
        eventually(lambda: http.get(f"{served.url}/api/v2").status_code == 200, "it serves")
        assert http.get(f"{served.url}/metrics").status_code == 401
        answer = http.get(f"{found[1]}/metrics")
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
        assert "chroma_http_requests_total" in answer.text
        if workers == 1:
            assert "chroma_collections 0.0" in answer.text
        assert http.get(f"{found[1]}/api/v2").status_code == 404
        assert http.post(f"{found[1]}/metrics").status_code == 501
        assert served.ended() == 0


def test_metrics_and_other_names() -> None:
    """A server without credentials answers on this port, too, to its own names only."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = ServerSettings(metrics_listen=f"127.0.0.1:{port}")
    with metrics_listener.listening(settings, lambda: b"a 1\n"), client() as http:
        url = f"http://127.0.0.1:{port}/metrics"
        assert http.get(url).text == "a 1\n"
        assert http.get(url, headers={"Host": "attacker.example"}).status_code == 421
        with pytest.raises(InvalidArgumentError, match="--metrics-listen"):
            with metrics_listener.listening(settings, lambda: b""):
                pass
        stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(16)]
        try:
            with pytest.raises(httpx.TransportError):
                http.get(url)
        finally:
            for each in stalled:
                each.close()
        eventually(lambda: _answers(http, url), "the others were closed")


def _answers(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(url).status_code == 200
    except httpx.TransportError:
        return False
