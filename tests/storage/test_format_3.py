"""The frozen sample of format 3 opens, and every record in it has the values that were written last.

`scripts/make_sample.py` made it with the first version of the format. It does not change any more. What
format 2 has, too, is tested as it is there.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma import Knn, Search, SparseVector
from chroma.errors import FormatTooNewError

from . import test_format_2
from .test_format_1 import CHAIN, DATA, Record, check, vector


def patched(rows: int) -> list[Record]:
    """As written: p00 … p23, the first `rows` of them with new metadata; q0; and what only the log holds."""
    found: dict[str, Record] = {}
    for i in range(24):
        metadata = {"n": i, "v": SparseVector([i], [1.0])}
        if i < rows:
            metadata |= {"n": -i, "seen": True}
        found[f"p{i:02}"] = (f"p{i:02}", f"page {i}", metadata, None, vector(i))
    changed = {"n": -1, "v": SparseVector([99], [2.0])}
    found["p01"] = ("p01", "another page", changed, "file:///1", vector(1))
    found["p22"] = ("p22", "page 22", {"n": "text", "v": SparseVector([22], [1.0])}, None, vector(22))
    found["p23"] = ("p23", "page 23", None, None, vector(23))
    found["q0"] = ("q0", None, {"n": 1}, None, vector(30))
    return list(found.values())


BULK: list[Record] = [
    *((id, document, dict(metadata or {}), uri, embedding) for id, document, metadata, uri, embedding in
      test_format_2.BULK),
    *((f"m{i}", None, {"late": i + 1}, None, vector(20 + i)) for i in range(12)),
]  # fmt: skip
BULK[3] = ("k3", None, {"s": SparseVector([3, 100], [1.0, 0.75]), "late": 0}, None, vector(3))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "format-3", tmp_path / "sample"))


def check_new(client: Any) -> None:
    for name, rows in (("patched", 3), ("rewritten", 6)):
        made = client.get_collection(name)
        check(made, patched(rows))
        assert made.get(where={"seen": True})["ids"] == [f"p{i:02}" for i in range(rows) if i != 1]
        assert made.get(where={"n": {"$lte": 0}})["ids"] == [f"p{i:02}" for i in range(rows)]
        assert made.get(where={"n": "text"})["ids"] == ["p22"]
        assert made.get(where_document={"$contains": "another"})["ids"] == ["p01"]
        for term, found in ((99, ["p01"]), (1, []), (23, []), (2, ["p02"])):
            rank = Knn(SparseVector([term], [1.0]), key="v")
            assert made.search(Search().rank(rank))["ids"] == [found]


def test_every_record(folder: Path) -> None:
    with chroma.PersistentClient(folder) as client:
        names = [*test_format_2.NAMES, "patched", "rewritten"]
        assert [made.name for made in client.list_collections()] == names
        check_new(client)
        client.compact()
        check_new(client)
    with chroma.PersistentClient(folder, tenant="acme", database="archive") as client:
        for _ in range(2):
            check(client.get_collection("chain"), CHAIN)
            check(client.get_collection("bulk"), BULK)
            client.compact()


def test_what_format_2_has(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_format_2, "NAMES", [*test_format_2.NAMES, "patched", "rewritten"])
    with chroma.PersistentClient(folder) as client:
        test_format_2.check_default_database(client)
    test_format_2.test_schemas(folder)


def test_new_values_are_in_files_of_their_own(folder: Path) -> None:
    kinds = {}
    with chroma.PersistentClient(folder) as client:
        ids = {str(made.id): made.name for made in client.list_collections()}
    for id, name in ids.items():
        state = json.loads((folder / "collections" / id / "manifest.json").read_text("utf-8"))["state"]
        files = {file["name"] for ref in state["segments"] for file in ref["files"]}
        kinds[name] = "records.arrow" in files, any("values" in ref for ref in state["segments"])
    assert kinds["patched"] == (True, True)
    assert kinds["rewritten"] == (False, True)


def test_a_check_finds_nothing(folder: Path) -> None:
    from chroma.embedded.backend import check_folder

    assert check_folder(str(folder)).ok


@pytest.mark.parametrize("pattern", ["catalog.json", "collections/*/manifest.json"])
def test_a_later_format_is_refused(folder: Path, pattern: str) -> None:
    for file in folder.glob(pattern):
        data = file.read_bytes()
        assert data.startswith(b'{"format":3,')
        file.write_bytes(data.replace(b'{"format":3,', b'{"format":4,', 1))
    with pytest.raises(FormatTooNewError, match="format 4.*Upgrade"):
        with chroma.PersistentClient(folder) as client:
            client.get_collection("settled").count()
