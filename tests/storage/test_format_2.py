"""The frozen sample of format 2 opens, every record in it is what was written, and its indexes are used.

`scripts/make_sample.py` made it with the first version of the format. It does not change any more.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chroma
from chroma import K, Knn, Search, SparseVector
from chroma.errors import FormatTooNewError, InvalidArgumentError
from chroma.storage.collection.postings_cache import LexicalIndex, SparseVectorIndex
from chroma.storage.filters.document_index import DocumentIndex
from chroma.storage.interface.words import Tokenizer
from chroma.utils.embedding_functions import ChromaBm25EmbeddingFunction

from .test_format_1 import CHAIN, DATA, TYPES, Record, check, settled, vector

SPARSE_METADATA: list[dict[str, Any] | None] = [
    {"v": SparseVector([1, 5, 9], [0.5, -1.25, 3.4028235e38])},
    {"v": SparseVector([2, 5], [0.1, 1e-45], ["two", ""])},
    {"v": SparseVector([], [])},
    {"v": SparseVector([], [], [])},
    {"v": SparseVector([0, 4294967295], [1.0, -0.0], ["日本", "👩\u200d👩"])},
    {"v": SparseVector([5], [2.0]), "w": SparseVector([5, 6], [1.0, 2.0]), "n": 4},
    {"w": SparseVector([6, 7], [0.25, 1.0])},
    {"mixed": SparseVector([1], [1.0])},
    {"mixed": "text"},
    {"mixed": 8, "w": 8},
    {"mixed": [1.5, 2.5], "v": "none"},
    {"mixed": '{"#type":"sparse_vector","indices":[],"values":[]}'},
    None,
]
SPARSE: list[Record] = [
    (f"p{i:02}", None, metadata, None, vector(i)) for i, metadata in enumerate(SPARSE_METADATA)
]
BULK: list[Record] = [
    (f"k{i}", None, {"s": SparseVector([i, 100], [1.0, i / 4])}, None, vector(i)) for i in range(12)
]
NAMES = ["types-in-log", "types-in-segment", "settled", "sparse-in-log", "sparse-in-segment", "searched"]
BM25 = ChromaBm25EmbeddingFunction(avg_doc_length=5.0, include_tokens=True)
THINGS = ("lamps", "panels", "bread", "clocks", "rivers", "stones")
VERBS = ("shining", "turning", "standing", "falling")


def searched() -> list[Record]:
    """As written: d0 … d23, less three deleted; e0 and e1; then changes that only the log holds."""

    def lex(text: str) -> SparseVector:
        made = BM25([text])[0]  # each value is stored as the shortest decimal of its float32
        values = [float(str(np.float32(value))) for value in made.values]
        return SparseVector(made.indices, values, made.labels)

    found: dict[str, Record] = {}
    for i in range(24):
        text = f"The {THINGS[i % 6]} are {VERBS[i % 4]}, number {i}."
        found[f"d{i}"] = (f"d{i}", text, {"views": i, "lex": lex(text)}, None, vector(i))
    for gone in ("d2", "d8", "d14"):
        del found[gone]
    for n, text in enumerate(("Bread and lamps", "日本語のテキスト")):
        found[f"e{n}"] = (f"e{n}", text, {"lex": lex(text)}, None, vector(30 + n))
    text = "A panel, and another panel"
    found["d1"] = ("d1", text, {"views": 1, "lex": lex(text)}, None, vector(1))
    found["d3"] = ("d3", found["d3"][1], {"views": 3, "lex": SparseVector([1], [1.0])}, None, vector(3))
    found["d5"] = ("d5", "nothing", {"views": 5, "lex": lex("nothing")}, None, vector(40))
    found["f0"] = ("f0", "bread", {"lex": lex("bread")}, None, vector(41))
    return list(found.values())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA / "format-2", tmp_path / "sample"))


def check_default_database(client: Any) -> None:
    assert [made.name for made in client.list_collections()] == NAMES
    for name in NAMES[:2]:
        check(client.get_collection(name), TYPES)
    check(client.get_collection("settled"), settled())
    for name in NAMES[3:5]:
        made = client.get_collection(name)
        check(made, SPARSE)
        check_sparse_searches(made)
    made = client.get_collection("searched")
    check(made, searched())
    check_searches(made)


def check_sparse_searches(made: Any) -> None:
    def ids(key: str, indices: list[int], values: list[float]) -> Any:
        rank = Knn(SparseVector(indices, values), key=key)
        return made.search(Search().rank(rank))["ids"][0]

    assert ids("v", [5], [1.0]) == ["p05", "p01", "p00"]
    assert ids("v", [0, 2], [1.0, 1.0]) == ["p04", "p01"]
    assert ids("v", [4294967295], [1.0]) == ["p04"]
    assert ids("w", [6, 7], [1.0, 1.0]) == ["p05", "p06"]
    assert ids("w", [8], [1.0]) == []
    assert made.get(where={"mixed": 8})["ids"] == ["p09"]
    assert made.get(where={"mixed": {"$contains": 2.5}})["ids"] == ["p10"]
    with pytest.raises(InvalidArgumentError, match="indexing is disabled"):
        ids("mixed", [1], [1.0])


def check_searches(made: Any) -> None:
    found = made.query(query_texts=["panels", "bread"], mode="lexical", n_results=20)
    assert found["ids"][0] == ["d1", "d7", "d13", "d19"]
    assert found["ids"][1] == ["f0", "e0", "d20"]
    assert found["lexical_scores"][1][0] > found["lexical_scores"][1][1] > found["lexical_scores"][1][2] > 0
    by_schema = made.search(Search().rank(Knn("panels", key="lex")).limit(20))
    assert by_schema["ids"] == [["d1", "d7", "d13", "d19"]]
    mixed = made.query([vector(30)], query_texts=["bread"], mode="hybrid", n_results=2)
    assert mixed["ids"][0][0] == "e0"
    assert made.get(where_document={"$contains": "stones are"})["ids"] == ["d11", "d17", "d23"]
    assert made.get(where_document={"$regex": "(?:number 1[0-2]|キスト)"})["ids"] == [
        "d10", "d11", "d12", "e1",
    ]  # fmt: skip
    with pytest.raises(InvalidArgumentError, match="'views' with type 'Int' because indexing is disabled"):
        made.get(where={"views": 3})
    assert made.get(where={"views": 3.0})["ids"] == ["d3"]


def test_every_record(folder: Path) -> None:
    with chroma.PersistentClient(folder) as client:
        check_default_database(client)
        client.compact()
        check_default_database(client)
    with chroma.PersistentClient(folder, tenant="acme", database="archive") as client:
        names = ["chain", "never-written", "renamed", "bulk"]
        assert [made.name for made in client.list_collections()] == names
        for _ in range(2):
            check(client.get_collection("chain"), CHAIN)
            check(client.get_collection("bulk"), BULK)
            client.compact()


def test_schemas(folder: Path) -> None:
    with chroma.PersistentClient(folder) as client:
        keys = client.get_collection("sparse-in-log").schema.keys
        indexes = {key: keys[key].sparse_vector.sparse_vector_index for key in ("v", "w")}
        assert {key: (each.enabled, each.config.bm25) for key, each in indexes.items()} == {
            "v": (True, False),
            "w": (True, True),
        }
        keys = client.get_collection("searched").schema.keys
        lexical = keys["lex"].sparse_vector.sparse_vector_index.config
        assert lexical.source_key == K.DOCUMENT.name
        assert lexical.embedding_function.get_config() == BM25.get_config()
        assert not keys["views"].int_value.int_inverted_index.enabled


def test_the_stored_indexes_are_used(folder: Path) -> None:
    """Each index file opens, so that nothing is built anew."""
    home, files = folder / "collections", set()
    for manifest in home.glob("*/manifest.json"):
        for segment in json.loads(manifest.read_text("utf-8"))["state"]["segments"]:
            files |= {(each["kind"], each["key"]) for each in segment.get("indexes", [])}
    keys = {("postings", key) for key in ("v", "w", "mixed", "lex")}
    assert files == keys | {("lexical", "#document"), ("ngrams", "#document")}
    with chroma.PersistentClient(folder) as client:
        engine = client._backend.engine
        for made in client.list_collections():
            held = engine.collection(made.tenant, made.database, str(made.id))
            for view in held.store.refresh().views:
                for ref in [] if view.ref is None else view.ref.indexes:
                    builder: Any = {
                        "postings": SparseVectorIndex(ref.key),
                        "lexical": LexicalIndex(Tokenizer()),
                        "ngrams": DocumentIndex(lambda size: memoryview(bytearray(size))),
                    }[ref.kind]
                    assert held.indexes.get_now(view, builder) is not None, ref


def test_a_check_finds_nothing(folder: Path) -> None:
    from chroma.embedded.backend import check_folder

    assert check_folder(str(folder)).ok


def test_stays_writable(folder: Path) -> None:
    with chroma.PersistentClient(folder) as client:
        made = client.get_collection("searched")
        made.add(ids=["new"], embeddings=[vector(50)], documents=["More bread, more bread"])
        made.delete(ids=["f0"])
        assert made.query(query_texts=["bread"], mode="lexical")["ids"] == [["new", "e0", "d20"]]
    with chroma.PersistentClient(folder) as client:
        made = client.get_collection("searched")
        assert made.search(Search().rank(Knn("bread", key="lex")))["ids"] == [["new", "e0", "d20"]]


@pytest.mark.parametrize("pattern", ["catalog.json", "collections/*/manifest.json"])
def test_a_later_format_is_refused(folder: Path, pattern: str) -> None:
    for file in folder.glob(pattern):
        data = file.read_bytes()
        assert data.startswith(b'{"format":2,')
        file.write_bytes(data.replace(b'{"format":2,', b'{"format":4,', 1))
    with pytest.raises(FormatTooNewError, match="format 4.*Upgrade"):
        with chroma.PersistentClient(folder) as client:
            client.get_collection("settled").count()
