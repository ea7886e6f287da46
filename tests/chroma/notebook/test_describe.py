"""`describe`: figures of metadata, documents and uris."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from chroma.notebook import distinct_counts
from chroma.notebook.describe import Summary
from chroma.notebook.description import Description
from chroma.notebook.distinct_counts import Counts

from ...support.checks import refused
from .reading import page, rows, words

METADATAS = [
    {"kind": "noun", "n": 1, "share": 0.5, "ok": True, "tags": ["a", "b"], "odd": 1},
    {"kind": "verb", "n": 3, "share": 2.0, "ok": True, "tags": ["a", "b"], "odd": "1"},
    {"kind": "noun", "n": -2, "ok": False, "tags": ["c"], "odd": 1.0, "document": "mine", "<b>": "<script>"},
    None,
]


@pytest.fixture
def things(client: Any) -> Any:
    collection = client.create_collection("things", embedding_function=None)
    collection.add(
        ids=list("abcd"),
        embeddings=np.eye(4),
        metadatas=METADATAS,
        documents=["one", "three", None, ""],
        uris=[None, "u://x", None, None],
    )
    return collection


def test_figures(things: Any) -> None:
    described = things.describe()
    assert described.name == "things"
    assert described.records == 4
    assert [entry.key for entry in described] == [
        "<b>",
        "document",
        "kind",
        "n",
        "odd",
        "ok",
        "share",
        "tags",
    ]
    kind, n, odd, tags = (described[key] for key in ("kind", "n", "odd", "tags"))
    assert kind.types == {"str": 3}
    assert (kind.records, kind.fill, kind.distinct, kind.exact) == (3, 0.75, 2, True)
    assert (kind.min, kind.max, kind.most_frequent, kind.times) == ("noun", "verb", "noun", 2)
    assert (n.types, n.min, n.max, n.distinct) == ({"int": 3}, -2, 3, 3)
    assert odd.types == {"int": 1, "str": 1, "float": 1}
    assert (odd.records, odd.distinct, odd.min, odd.max) == (3, 3, None, None)
    assert (tags.types, tags.min, tags.most_frequent, tags.times) == ({"list of str": 3}, None, ["a", "b"], 2)
    ok, share, document = (described[key] for key in ("ok", "share", "document"))
    assert (ok.types, ok.min, ok.max, ok.most_frequent, ok.times) == ({"bool": 3}, False, True, True, 2)
    assert (share.types, share.records, share.min, share.max) == ({"float": 2}, 2, 0.5, 2.0)
    assert (document.records, document.most_frequent) == (1, "mine")
    texts = described.documents
    assert (texts.records, texts.fill, texts.shortest, texts.longest) == (3, 0.75, 0, 5)
    assert texts.mean == pytest.approx(8 / 3)
    assert (described.uris.records, described.uris.longest) == (1, 5)


def test_of_records_that_match(things: Any) -> None:
    described = things.describe(where={"kind": "noun"})
    assert described.records == 2
    assert described["kind"].fill == 1.0


def test_an_unknown_key_is_answered_with_the_known(things: Any) -> None:
    with pytest.raises(KeyError, match="no record has the metadata key 'nope'.*'kind'"):
        things.describe()["nope"]


def test_an_empty_collection(client: Any) -> None:
    described = client.create_collection("things").describe()
    assert (described.records, len(described), described.documents.fill) == (0, 0, 0.0)
    assert described
    assert repr(described) == "things: 0 records\ndocuments: none\nuris: none\nno record has metadata"
    assert words(described._repr_html_()).endswith("no record has metadata")


def summary(*batches: dict[str, Any]) -> Description:
    made = Summary("things")
    for columns in batches:
        made.add(pa.RecordBatch.from_pydict(columns))
    return made.finish()


def test_the_table() -> None:
    described = summary({"kind": ["noun", "noun", None], "n": [1, 22, 333], "document": ["a", None, None]})
    assert repr(described) == (
        "things: 3 records\n"
        "documents: 33.3 %, 1 to 1 characters, 1 on average\n"
        "uris: none\n"
        "\n"
        "key   types  filled  distinct  min   max   most frequent  times\n"
        "kind  str    66.7 %         1  noun  noun  noun               2\n"
        "n     int     100 %         3  1     333"
    )
    assert rows(described._repr_html_())[1] == ["kind", "str", "66.7 %", "1", "noun", "noun", "noun", "2"]


def test_no_text_becomes_markup() -> None:
    html = summary({"<script>": ["<img src=x onerror=alert(1)>"]})._repr_html_()
    page(html)
    assert "<script>" in words(html)


def test_frames() -> None:
    described = summary({"kind": ["noun"], "n": [2]}, {"metadata[int].odd": [1], "metadata[str].odd": ["x"]})
    frame = described.to_pandas()
    assert list(frame["key"]) == ["kind", "n", "odd"]
    assert list(frame["types"]) == ["str", "int", "int 1, str 1"]
    assert list(frame["max"]) == ["noun", 2, None]
    assert frame["fill"].tolist() == [0.5, 0.5, 1.0]
    table = described.to_arrow()
    assert table.column_names == list(frame.columns)
    assert table["max"].to_pylist() == ["noun", "2", None]
    assert table["distinct"].to_pylist() == [1, 1, 2]


def test_without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with refused("pip install 'chroma-arrow[pandas]'"):
        summary({"n": [1]}).to_pandas()


def test_batches_may_store_columns_differently() -> None:
    described = summary(
        {"kind": pa.array(["b", "a"]), "n": pa.array([1, 2], pa.int32())},
        {"kind": pa.array(["b", None], pa.large_string()), "n": pa.array([None, None], pa.null())},
        {
            "kind": pa.array(["b"]).dictionary_encode(),
            "id": ["x"],
            "embedding": [[0.0]],
            "uri": pa.array(["ü"]),
        },
    )
    kind = described["kind"]
    assert (described.records, kind.types, kind.distinct, kind.times) == (5, {"str": 4}, 2, 3)
    assert described["n"].types == {"int": 2}
    assert described.uris.longest == 1
    assert [entry.key for entry in described] == ["kind", "n"]


def test_numbers_of_both_types_are_compared() -> None:
    odd = summary({"metadata[int].odd": [2**62 + 1, None], "metadata[float].odd": [None, 0.5]})["odd"]
    assert (odd.min, odd.max) == (0.5, 2**62 + 1)


def test_many_values_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct_counts, "LIMIT", 5000)
    counts = Counts()
    for part in range(10):
        counts.add((f"value {part * 4000 + i}", 1) for i in range(4000))
        counts.add([("frequent", 900)])
    assert not counts.exact
    assert counts.distinct == pytest.approx(40_001, rel=0.05)
    value, times = counts.most_frequent or ("", 0)
    assert value == "frequent"
    assert 9000 - counts.uncertain <= times <= 9000
    assert counts.uncertain <= 49_000 / 2500
    assert len(counts._times) <= 5000


def test_few_distinct_values_with_long_texts_are_counted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct_counts, "BYTES", 1000)
    counts = Counts()
    counts.add((letter * 300, 1) for letter in "abcdef")
    assert (counts.exact, counts.distinct) == (False, 6)
    assert sum(map(len, counts._times)) <= 1000


def test_estimates_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct_counts, "LIMIT", 3)
    described = summary({"n": [1, 1, 1, 1, 2, 3, 4, 5]})
    assert not described["n"].exact
    for shown in (repr(described), words(described._repr_html_())):
        assert "≈ 5" in shown
        assert "≥ 3" in shown
        assert "too many distinct values" in shown
