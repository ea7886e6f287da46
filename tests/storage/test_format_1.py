"""The frozen samples of format 1 open, and every record in them is what was written.

`scripts/make_sample.py` made the first with the first version of the format, the second when logs had their
version 2. No sample changes any more: what is on users' disks does not either.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma.errors import FormatTooNewError

from ..support.checks import float32

DATA = Path(__file__).parent.parent / "data"

Record = tuple[str, str | None, dict[str, Any] | None, str | None, list[float]]

TYPES: list[Record] = [
    ("t00", "plain", {"v": 2}, None, [0.1, -0.0, 1e-45, 3.4028235e38]),
    ("t01", "", {"v": 2.0}, "file:///a", [1, 1 / 3, -1, 1 / 7]),
    ("t02", None, {"v": True}, None, [2, 2 / 3, -2, 1 / 7]),
    ("t03", "line one\nline two", {"v": "2"}, None, [3, 1, -3, 1 / 7]),
    (
        "t04",
        "日本語のテキスト",
        {
            "v": False,
            "int_edges": [-9223372036854775808, 9223372036854775807],
            "max": 9223372036854775807,
            "min": -9223372036854775808,
        },
        None,
        [4, 4 / 3, -4, 1 / 7],
    ),
    (
        "t05",
        "👩\u200d👩\u200d👧\u200d👦 family",
        {"v": 9007199254740993, "tiny": 5e-324, "huge": 1.7976931348623157e308, "minus_zero": -0.0},
        None,
        [5, 5 / 3, -5, 1 / 7],
    ),
    ("t06", "", {"v": ["a", "", "ß"]}, None, [6, 2, -6, 1 / 7]),
    ("t07", "x", {"v": [1, 2, 3]}, None, [7, 7 / 3, -7, 1 / 7]),
    ("t08", "xx", {"v": [1.0, 2.5]}, None, [8, 8 / 3, -8, 1 / 7]),
    ("t09", "xxx", {"v": [True, False]}, None, [9, 3, -9, 1 / 7]),
    (
        "t10",
        "xxxx",
        {"v": "", "κλειδί": "τιμή", "a.b c": "dots and spaces", "🗝": "🔑"},
        None,
        [10, 10 / 3, -10, 1 / 7],
    ),
    ("t11", "xxxxx", None, None, [11, 11 / 3, -11, 1 / 7]),
    ("日本/?#", None, None, None, [0, 0, 0, 0]),
    ("x\x00y", None, None, None, [1, 1, 1, 1]),
]


def vector(i: int) -> list[float]:
    return [i, i / 8, -float(i), 1 / (i + 1)]


def settled() -> list[Record]:
    """As written: r0 … r43, less five deleted; s0 … s2; then changes that only the log holds."""
    found: dict[str, Record] = {}
    for i in range(44):
        metadata = {"n": i, "parity": "odd" if i % 2 else "even"}
        found[f"r{i}"] = (f"r{i}", f"document {i}", metadata, None, vector(i))
    for gone in ("r3", "r6", "r11", "r40"):
        del found[gone]
    found["r7"] = ("r7", "document 7", {"n": 7, "parity": "odd", "rare": 7}, None, vector(7))
    found["r4"] = ("r4", "document 4, again", {"n": 4, "parity": "even"}, None, vector(4))
    found["r5"] = ("r5", "document 5", {"parity": "odd", "updated": True}, None, vector(5))
    found["r8"] = ("r8", "document 8", {"n": 8, "parity": "none"}, None, vector(200))
    found["s0"] = ("s0", None, {"late": [1, 2]}, None, vector(100))
    found["s1"] = ("s1", None, None, None, [9, 9, 9, 9])
    found["s2"] = ("s2", None, {"n": 2.5}, None, vector(102))
    found["u0"] = ("u0", None, {"n": -1}, None, vector(201))
    found["r3"] = ("r3", "back, at the end", None, None, vector(300))
    return list(found.values())


CHAIN: list[Record] = [
    ("a0", "one", None, None, vector(0)),
    ("a2", "three", None, None, vector(2)),
    *((f"b{i}", None, {"k": f"value {i % 3}"}, None, vector(10 + i)) for i in range(12) if i != 4),
    ("c0", None, None, None, vector(50)),
]


@pytest.fixture(params=["format-1", "format-1-logs-2"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / request.param, tmp_path / "sample"))


def exact(value: Any) -> Any:
    """Equal only for the same type, and the same sign of zero."""
    if isinstance(value, (list, tuple)):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return [(key, exact(item)) for key, item in value.items()]
    return type(value).__name__, repr(value)


def check(collection: Any, records: list[Record]) -> None:
    got = collection.get(include=["documents", "metadatas", "uris", "embeddings"])
    ids, documents, metadatas, uris, vectors = zip(*records, strict=True)
    assert got["ids"] == list(ids)
    assert got["documents"] == list(documents)
    assert exact(got["metadatas"]) == exact(metadatas)
    assert got["uris"] == list(uris)
    assert got["embeddings"].dtype == np.float32
    assert got["embeddings"].tobytes() == float32(vectors)
    assert collection.count() == len(records)


def check_default_database(client: Any) -> None:
    names = [made.name for made in client.list_collections()]
    assert names == ["types-in-log", "types-in-segment", "settled"]
    for name in names[:2]:
        made = client.get_collection(name)
        check(made, TYPES)
        assert made.metadata == {"purpose": "every type", "n": 7}
        assert made.configuration_json["hnsw"]["space"] == "l2"
        assert made.configuration_json["embedding_function"] is None
    made = client.get_collection("settled")
    check(made, settled())
    assert made.metadata is None
    hnsw = made.configuration_json["hnsw"]
    assert (hnsw["space"], hnsw["max_neighbors"]) == ("cosine", 8)


def check_archive(client: Any) -> None:
    names = ["chain", "never-written", "renamed"]
    assert [made.name for made in client.list_collections()] == names
    made = client.get_collection("chain")
    check(made, CHAIN)
    assert made.metadata == {"hnsw:space": "ip"}
    assert made.configuration_json["hnsw"]["space"] == "ip"
    assert [client.get_collection(name).count() for name in names[1:]] == [0, 0]


def test_every_record(folder: Path) -> None:
    with chroma.PersistentClient(folder) as client:
        check_default_database(client)
        client.compact()
        check_default_database(client)
    with chroma.PersistentClient(folder, tenant="acme", database="archive") as client:
        check_archive(client)
        client.compact()
        check_archive(client)


def test_databases(folder: Path) -> None:
    settings = chroma.Settings(is_persistent=True, persist_directory=str(folder))
    with chroma.AdminClient(settings) as admin:
        assert [found["name"] for found in admin.list_databases()] == ["default_database", "nothing-in-it"]
        assert [found["name"] for found in admin.list_databases(tenant="acme")] == ["archive"]
        assert admin.get_tenant("acme") == {"name": "acme"}


@pytest.mark.parametrize("name", ["types-in-log", "types-in-segment"])
@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ({"v": 2}, ["t00", "t01"]),
        ({"v": {"$gt": 2**53}}, ["t05"]),
        ({"v": True}, ["t02"]),
        ({"v": "2"}, ["t03"]),
        ({"v": {"$contains": 2}}, ["t07"]),
        ({"v": {"$contains": ""}}, ["t06"]),
        ({"v": {"$contains": False}}, ["t09"]),
        ({"min": -(2**63)}, ["t04"]),
        ({"κλειδί": "τιμή"}, ["t10"]),
        ({"minus_zero": 0}, ["t05"]),
        ({"v": {"$ne": 2}}, [record[0] for record in TYPES[2:]]),
    ],
)
def test_filters(folder: Path, name: str, where: dict[str, Any], ids: list[str]) -> None:
    with chroma.PersistentClient(folder) as client:
        assert client.get_collection(name).get(where=where)["ids"] == ids


def test_searches_with_the_stored_index(folder: Path) -> None:
    hnswlib = pytest.importorskip("hnswlib")
    del hnswlib
    with chroma.PersistentClient(folder) as client:
        made = client.get_collection("settled")
        assert made.recall(k=5, sample=20) >= 0.95  # loads the graph first
        got = made.query([vector(20)], n_results=1, where={"parity": "even"})
        assert (got["ids"], got["documents"]) == ([["r20"]], [["document 20"]])
        assert made.query([[9, 9, 9, 9]], n_results=1)["ids"] == [["s1"]]


def test_stays_writable(folder: Path) -> None:
    with chroma.PersistentClient(folder) as client:
        made = client.get_collection("settled")
        made.add(ids=["new"], embeddings=[vector(400)])
        made.delete(ids=["u0"])
    with chroma.PersistentClient(folder) as client:
        expected = [record for record in settled() if record[0] != "u0"]
        check(client.get_collection("settled"), [*expected, ("new", None, None, None, vector(400))])


@pytest.mark.parametrize("pattern", ["catalog.json", "collections/*/manifest.json"])
def test_a_later_format_is_refused(folder: Path, pattern: str) -> None:
    for file in folder.glob(pattern):
        data = file.read_bytes()
        assert data.startswith(b'{"format":1,')
        file.write_bytes(data.replace(b'{"format":1,', b'{"format":4,', 1))
    with pytest.raises(FormatTooNewError, match="format 4.*Upgrade"):
        with chroma.PersistentClient(folder) as client:
            client.get_collection("settled").count()
