"""The scan of documents for a text, against Python."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.filters import document_scan
from chroma.storage.filters.document_scan import documents_with

few_letters = st.text("abé日", max_size=12)


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
)
def test_it_finds_what_python_finds(
    kind: Any, documents: list[str | None], text: str, step: int, compared: int, cut: tuple[int, int]
) -> None:
    start, length = cut
    array = pa.array(documents, kind).slice(start, length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document_scan, "_STEP", step)
        patch.setattr(document_scan, "_COMPARED", compared)
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
