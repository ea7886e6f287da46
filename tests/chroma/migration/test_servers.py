"""Servers of our own as the source and as the target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import CorruptionError, InvalidArgumentError, NotFoundError, UniqueConstraintError

from ...support import server
from . import handmade
from .handmade import Made, vectors


@pytest.fixture
def url() -> Iterator[str]:
    with chroma.HttpClient(server.url()) as janitor:
        janitor.reset()
        yield server.url()
        janitor.reset()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where the journal goes


def check(client: Any, made: Made) -> None:
    with client:
        found = client.get_collection(made.name, embedding_function=None)
        rows = found.get(include=["embeddings", "metadatas"])
    assert rows["ids"] == made.ids
    assert np.array_equal(np.asarray(rows["embeddings"], np.float32), made.vectors)
    assert rows["metadatas"][3] == {"n": 3, "half": 1.5, "even": False}


def test_from_a_folder_to_a_server_and_back(tmp_path: Path, url: str) -> None:
    made = [Made("notes", vectors(50)), Made("more", vectors(40), "acme", "archive", indexed=9, space="ip")]
    handmade.write(tmp_path / "old", made).close()
    report = chroma.migrate(tmp_path / "old", url, progress=False)
    assert report.records == report.compared == 90
    assert "the collections have new ids" in report.warnings[-1]
    assert (tmp_path / "chroma-migration.json").exists()
    assert {c.id for c in report.collections}.isdisjoint(one.id for one in made)
    for one in made:
        check(chroma.HttpClient(url, tenant=one.tenant, database=one.database), one)
    again = chroma.migrate(tmp_path / "old", url, progress=False)
    assert (again.already_done, again.written) == (True, 0)

    handmade.write(tmp_path / "other", []).close()
    with pytest.raises(InvalidArgumentError, match="or is another one"):
        chroma.migrate(tmp_path / "other", url, progress=False)
    with pytest.raises(
        InvalidArgumentError, match="is the journal of the migration from .*old to http.*journal="
    ):
        chroma.migrate(tmp_path / "other", tmp_path / "else", progress=False, journal="chroma-migration.json")
    with pytest.raises(InvalidArgumentError, match="source and target are both"):
        chroma.migrate(url, f"{url}/", progress=False)

    report = chroma.migrate(url, tmp_path / "new", tenants=["default_tenant", "acme"], progress=False)
    assert report.records == 90
    for one in made:
        check(chroma.PersistentClient(tmp_path / "new", tenant=one.tenant, database=one.database), one)
    assert [c.id for c in report.collections] == [c.id for c in again.collections], "a folder keeps them"
    with chroma.PersistentClient(tmp_path / "new", tenant="acme", database="archive") as client:
        assert client.get_collection("more").configuration_json["hnsw"]["space"] == "ip"


def test_what_is_on_the_server_stays(tmp_path: Path, url: str) -> None:
    handmade.write(tmp_path / "old", [Made("notes", vectors(5))]).close()
    with chroma.HttpClient(url) as client:
        client.create_collection("notes", embedding_function=None)
    with pytest.raises(UniqueConstraintError, match="did not come from this migration"):
        chroma.migrate(tmp_path / "old", url, progress=False)
    assert not (tmp_path / "chroma-migration.json").exists()
    with chroma.HttpClient(url) as client:
        client.delete_collection("notes")
    chroma.migrate(tmp_path / "old", url, progress=False, journal="elsewhere.json")
    assert (tmp_path / "elsewhere.json").exists()
    with chroma.HttpClient(url) as client:
        client.delete_collection("notes")
        client.create_collection("notes", embedding_function=None)
    with pytest.raises(CorruptionError, match="not there any more"):
        chroma.migrate(tmp_path / "old", url, progress=False, journal="elsewhere.json")


def test_a_tenant_that_the_server_does_not_have(tmp_path: Path, url: str) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        chroma.migrate(url, tmp_path / "new", tenants=["nobody"], progress=False)


def test_a_server_that_is_written_to_meanwhile(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chroma.migration.server_source import ServerSource

    with chroma.HttpClient(url) as client:
        notes = client.create_collection("notes", embedding_function=None)
        notes.add(["a", "b"], [[1.0], [2.0]])
        read = ServerSource.read

        def and_write(self: ServerSource, *arguments: Any) -> Any:
            yield from read(self, *arguments)
            notes.upsert("late", [[3.0]])

        monkeypatch.setattr(ServerSource, "read", and_write)
        with pytest.raises(InvalidArgumentError, match="was written to while it was being moved"):
            chroma.migrate(url, tmp_path / "new", progress=False)


def test_a_server_that_gives_no_uuid(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from chroma._sync.http_backend import HttpBackend

    with chroma.HttpClient(url) as client:
        client.create_collection("notes", embedding_function=None)
    listed = HttpBackend.list_collections

    def false(*arguments: Any) -> Any:
        return [replace(info, id="../../etc") for info in listed(*arguments)]

    monkeypatch.setattr(HttpBackend, "list_collections", false)
    monkeypatch.setattr(HttpBackend, "count", lambda *arguments: 0)
    with pytest.raises(CorruptionError, match="has '../../etc' where a UUID belongs"):
        chroma.migrate(url, tmp_path / "new", progress=False)
    assert not (tmp_path / "new").exists()
