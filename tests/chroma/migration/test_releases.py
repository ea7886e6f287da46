"""Folders that releases of chromadb really made, each in an environment of its own: everything comes over as
that release itself tells it. Without `make clients` these are skipped."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma

from ...clients.environments import python, reference_server, run
from .handmade import hashes

PROGRAM = str(Path(__file__).resolve().parent / "original.py")
# environments of scripts/clients.sh, with the version that they tell
RELEASES = {
    "full": "1.5.9",
    "chromadb-1.0.20": "1.0.20",
    "chromadb-0.6.3": "0.6.3",
    "chromadb-0.4.24": "0.4.24",
}


@dataclass
class Original:
    """A folder as the release left it, and what the release says of a copy of it."""

    folder: Path
    version: tuple[int, ...]
    collections: dict[tuple[str, str, str], dict[str, Any]]


def read(told: Path) -> tuple[tuple[int, ...], dict[tuple[str, str, str], dict[str, Any]]]:
    found = json.loads(told.read_text("utf-8"))
    version = tuple(map(int, found["version"].split(".")))
    return version, {(c["tenant"], c["database"], c["name"]): c for c in found["collections"]}


@pytest.fixture(scope="module", params=RELEASES)
def original(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Original:
    place = tmp_path_factory.mktemp("chromadb")
    run(python(request.param), PROGRAM, "make", *(str(place / name) for name in ("old", "copy", "told.json")),
        folder=place)  # fmt: skip
    version, collections = read(place / "told.json")
    assert ".".join(map(str, version)) == RELEASES[request.param]
    return Original(place / "old", version, collections)


@pytest.fixture(scope="module")
def moved(original: Original, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Original, Path]]:
    target = tmp_path_factory.mktemp("arrow") / "new"
    before = hashes(original.folder)
    report = chroma.migrate(original.folder, target, progress=False)
    assert hashes(original.folder) == before
    assert report.records == sum(len(told["ids"]) for told in original.collections.values())
    assert report.compared == report.records
    yield original, target


def vectors(told: dict[str, Any]) -> np.ndarray[Any, Any]:
    return np.frombuffer(base64.b64decode(told["vectors"]), "<f4").reshape(len(told["ids"]), -1)


def typed(entries: Any) -> list[str]:
    return [json.dumps(entry or None, sort_keys=True) for entry in entries]


def opened(target: Path | str, told: dict[str, Any]) -> Any:
    make = chroma.HttpClient if str(target).startswith("http") else chroma.PersistentClient
    return make(target, tenant=told["tenant"], database=told["database"])  # type: ignore[operator]


def check_records(
    target: Path | str, told: dict[str, Any], in_order: bool = True, exact: bool = True
) -> None:
    """Ids in order, texts, metadata with its types, and vectors bit for bit."""
    with opened(target, told) as client:
        collection = client.get_collection(told["name"], embedding_function=None)
        found = collection.get(include=["embeddings", "documents", "metadatas", "uris"])
    assert found["ids"] == told["ids"] if in_order else sorted(found["ids"]) == sorted(told["ids"])
    if not told["ids"]:
        return
    place = {id: place for place, id in enumerate(found["ids"])}
    order = [place[id] for id in told["ids"]]
    assert [found["documents"][at] for at in order] == told["documents"]
    assert typed(found["metadatas"][at] for at in order) == typed(told["metadatas"])
    if told["uris"] is not None:
        assert [found["uris"][at] for at in order] == told["uris"]
    ours = np.asarray(found["embeddings"], np.float32)[order]
    if exact:
        assert np.array_equal(ours.view(np.uint32), vectors(told).view(np.uint32))
    else:
        np.testing.assert_allclose(ours, vectors(told), rtol=3e-7)


def test_every_record_is_the_same(moved: tuple[Original, Path]) -> None:
    original, target = moved
    for told in original.collections.values():
        # 0.4 orders by id, not by time. Before 1.0, vectors of cosine space that were not yet in the index
        # came back as they were given; since then as the index would give them, and so they come over.
        given = original.version < (1, 0) and (told["metadata"] or {}).get("hnsw:space") == "cosine"
        check_records(target, told, in_order=original.version >= (0, 5), exact=not given)


def test_collections_are_the_same(moved: tuple[Original, Path]) -> None:
    original, target = moved
    for (tenant, database, name), told in original.collections.items():
        with opened(target, told) as client:
            collection = client.get_collection(name, embedding_function=None)
        assert (str(collection.id), collection.tenant, collection.database) == (told["id"], tenant, database)
        assert typed([collection.metadata]) == typed([told["metadata"]])
        ours = collection.configuration_json
        if told["configuration"] is None:  # before 1.0
            assert ours["hnsw"]["space"] == (told["metadata"] or {}).get("hnsw:space", "l2")
            assert ours["embedding_function"] == {"type": "legacy"}
        else:
            for key in ("space", "ef_construction", "ef_search", "max_neighbors", "sync_threshold"):
                assert ours["hnsw"][key] == told["configuration"]["hnsw"][key]
            assert ours["embedding_function"] == told["configuration"]["embedding_function"]


def test_queries_answer_the_same(moved: tuple[Original, Path]) -> None:
    original, target = moved
    asked = 0
    for told in original.collections.values():
        with opened(target, told) as client:
            collection = client.get_collection(told["name"], embedding_function=None)
            for answer in told["answers"]:
                asked += 1
                found = collection.query(query_embeddings=[answer["vector"]], n_results=5)
                assert found["ids"][0] == answer["ids"], told["name"]
                scale = float(np.square(answer["vector"]).sum())
                np.testing.assert_allclose(
                    found["distances"][0], answer["distances"], rtol=1e-4, atol=1e-6 * max(1.0, scale)
                )
    assert asked > 20


def test_an_old_folder_has_the_bits_that_the_newest_release_gives(
    moved: tuple[Original, Path], tmp_path: Path
) -> None:
    original, target = moved
    if original.version >= (1, 5):
        pytest.skip("it is the newest release's own")
    shutil.copytree(original.folder, tmp_path / "copy")
    run(python("full"), PROGRAM, "tell", str(tmp_path / "copy"), str(tmp_path / "told.json"), folder=tmp_path)
    _, collections = read(tmp_path / "told.json")
    assert collections.keys() == original.collections.keys()
    for told in collections.values():
        check_records(target, told)
    # and so has the folder that it has put in order by now
    chroma.migrate(tmp_path / "copy", tmp_path / "new", progress=False)
    for told in collections.values():
        check_records(tmp_path / "new", told)


def test_a_server_of_chroma_is_read_by_its_address(original: Original, tmp_path: Path) -> None:
    if original.version < (1, 5):
        pytest.skip("there is one server to try")
    shutil.copytree(original.folder, tmp_path / "db")
    with reference_server(tmp_path) as url:
        report = chroma.migrate(url, tmp_path / "new", tenants=["default_tenant", "acme"], progress=False)
        assert report.records == sum(len(told["ids"]) for told in original.collections.values())
        for told in original.collections.values():
            check_records(tmp_path / "new", told)
        alone = chroma.migrate(url, tmp_path / "one", progress=False, collections=["l2-7"])
        assert "only the tenant 'default_tenant' is read" in alone.warnings[0]
