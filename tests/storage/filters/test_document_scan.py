"""The scan of documents for a text, against Python."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.filters import document_scan
from chroma.storage.filters.document_scan import Documents
from chroma.storage.index import ngrams
from chroma.storage.index.ngrams import Ngrams
from chroma.storage.native import kernel

few_letters = st.text("abé日", max_size=12)


def indexed(documents: Documents) -> Ngrams:
    content = ngrams.build(documents.data, lambda: False, lambda size: memoryview(bytearray(size)))
    assert content is not None
    return Ngrams.read(content, len(documents.data))


def documents_with(array: Any, text: str) -> Any:
    """The answer of all four ways: compiled or not, with an index or without it."""
    documents = Documents.of_array(array)
    index = indexed(documents)
    found = [document_scan.documents_with(documents, text, given) for given in (None, index)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "text", None)
        found += [document_scan.documents_with(documents, text, given) for given in (None, index)]
    rows = found[0].rows
    assert all(each.size == len(array) and np.array_equal(each.rows, rows) for each in found)
    return rows


def expected(documents: list[str | None], text: str) -> list[int]:
    return [row for row, document in enumerate(documents) if document is not None and text in document]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(
    documents=st.lists(st.one_of(st.none(), few_letters), max_size=12),
    text=st.text("abé日", min_size=1, max_size=6),
    step=st.integers(1, 20),
    compared=st.integers(2, 16),
    cut=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    units=st.tuples(st.integers(0, 12), st.integers(1, 5)),
)
def test_it_finds_what_python_finds(
    kind: Any,
    documents: list[str | None],
    text: str,
    step: int,
    compared: int,
    cut: tuple[int, int],
    units: tuple[int, int],
) -> None:
    start, length = cut
    array = pa.array(documents, kind).slice(start, length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document_scan, "_STEP", step)
        patch.setattr(document_scan, "_COMPARED", compared)
        patch.setattr(document_scan, "_FEW_UNITS", 1)
        patch.setattr(ngrams, "UNIT", sum(units))
        patch.setattr(ngrams, "OVERLAP", units[1])
        found = documents_with(array, text)
    assert found.tolist() == expected(documents[start : start + length], text)
    assert found.dtype == "int64"


@pytest.mark.parametrize(
    ("documents", "text"),
    [
        (["ab", "cd"], "bc"),  # not across two documents
        (["aaaa", "aa", "a"], "aa"),
        (["", None, ""], "a"),
        ([None, None], "a"),
        ([], "a"),
        (["A"], "a"),
        (["a" * 5000, "a" * 4999, "b" + "a" * 5000], "a" * 5000),
        (["a\x00b"], "\x00b"),
        (["short"], "longer than all documents together"),
    ],
)
def test_edges(documents: list[str | None], text: str) -> None:
    assert documents_with(pa.array(documents, pa.string()), text).tolist() == expected(documents, text)


def test_the_bytes_of_a_null_are_no_document() -> None:
    """Arrow lets a null have bytes."""
    offsets, data = pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"xx")
    array = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\2"), offsets, data])
    assert documents_with(array, "x").tolist() == [1]


def test_few_units_of_many_are_scanned() -> None:
    """So few that the compiled scan looks at single units; matches at both ends of units and documents."""
    dice = np.random.default_rng(3)
    words = [f"w{number}" for number in dice.integers(0, 9000, 60_000)]
    texts = [" ".join(words[start : start + 30]) for start in range(0, len(words), 30)]
    array = pa.array(texts)
    for text in (
        "w17 ",
        "w8999",
        texts[5][:40],
        texts[7][-50:],
        texts[9],
        "w1 w",
        " ",
        "w12345",
        texts[3] + "x",
    ):
        assert documents_with(array, text).tolist() == expected(list(texts), text), text


def test_equal_letters_take_no_longer_than_others() -> None:
    """Quadratic time would be minutes."""
    array = pa.array(["a" * 2_000_000 + "c", "b" * 2_000_000])
    documents = Documents.of_array(array)
    assert document_scan.documents_with(documents, "a" * 1_000_000 + "b").count == 0
    assert document_scan.documents_with(documents, "a" * 1_000_000 + "c").rows.tolist() == [0]


def test_a_long_document_is_searched_to_its_end_once() -> None:
    """Its first bytes are in many units, the whole text in none."""
    other = "".join(f"{number} " for number in range(1500))
    begins = "connection to the server was lost after"
    array = pa.array([f"{begins} {other}" * 3000])
    documents = Documents.of_array(array)
    index, needle = indexed(documents), f"{begins} all"
    units = index.units(needle.encode())
    assert units is not None and 2000 < np.unpackbits(units.view(np.uint8)).sum() < 7000
    taken = []
    for with_index in (None, index):
        start = time.perf_counter()
        assert document_scan.documents_with(documents, needle, with_index).count == 0
        taken.append(time.perf_counter() - start)
    assert taken[1] < 10 * taken[0] + 0.1  # thousands of searches through 20 MB would take 0.8 s
    assert document_scan.documents_with(documents, f"{begins} 0 1 2", index).count == 1
