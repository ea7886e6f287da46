"""Texts that are longer than the model reads: told once per call, counted, and divided by its own tokens."""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.embedding.minilm import tokens
from chroma.errors import InvalidArgumentError, InvalidTypeError
from chroma.utils.embedding_functions import DefaultEmbeddingFunction

from ...support.tiny_embedding import HashEmbedding

LONG = "The committee met on Monday and discussed the budget of the library at length. " * 40
ODD = [
    "x" * 5000, "ab" * 40 + " " + "zq" * 49, "漢字" * 500, "한국어 문장입니다. " * 200, "", " ",
    "a\u0300" * 400, "one\n\ntwo. Three " * 90,
    "😀" * 400, ("qzxj" * 24 + " ") * 50, "e\u0301 " * 300, "ﬁ" * 300, "İstanbul " * 200,
]  # fmt: skip


@pytest.mark.parametrize("text", [LONG, *ODD])
@pytest.mark.parametrize("most", [16, 64, 256])
def test_pieces_are_read_whole_and_lose_nothing(text: str, most: int) -> None:
    pieces = chroma.split(text, most, 0)
    assert not any(tokens.are_cut([piece.text for piece in pieces], most))
    assert all(text[piece.start : piece.end] == piece.text for piece in pieces)
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    joined, position = "", 0
    for piece in pieces:
        assert piece.start >= position and not text[position : piece.start].strip()
        joined, position = joined + piece.text, piece.end
    assert joined.split() == text.split() or "".join(joined.split()) == "".join(text.split())
    assert not text[position:].strip()


def test_pieces_end_with_sentences_and_overlap() -> None:
    pieces = chroma.split(LONG)
    assert len(pieces) == 3
    assert all(piece.text.rstrip().endswith("length.") for piece in pieces)
    assert all(100 < a.end - b.start < 300 for a, b in pairwise(pieces))
    paragraphs = "One sentence. Another one.\n" * 60
    assert all(piece.text.endswith("one.") for piece in chroma.split(paragraphs, 64)[:-1])


def test_several_texts() -> None:
    pieces = chroma.split(["short", LONG, ""], tokens=128, overlap=16)
    assert [piece.source for piece in pieces] == [0, *[1] * (len(pieces) - 2), 2]
    assert pieces[0] == chroma.Chunk("short", 0, 0, 0, 5)
    assert chroma.split([]) == []


class Words(HashEmbedding):
    """Its tokens are words."""

    def max_tokens(self) -> int:
        return 20

    def split(self, text: str, tokens: int, overlap: int) -> list[tuple[int, int]]:
        return [(0, 3), (3, len(text))]


def test_another_function() -> None:
    assert [piece.text for piece in chroma.split("abcdef", embedding_function=Words())] == ["abc", "def"]
    with pytest.raises(InvalidArgumentError, match="HashEmbedding has no method split"):
        chroma.split("a", embedding_function=HashEmbedding())


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((3,), InvalidTypeError, "texts .* got 3"),
        ((["a", None],), InvalidTypeError, "None"),
        (("a", 257), InvalidArgumentError, "tokens to be 16 to 256.*257"),
        (("a", 3), InvalidArgumentError, "tokens"),
        (("a", "x"), InvalidTypeError, "tokens"),
        (("a", 256, 129), InvalidArgumentError, "overlap to be 0 to 128.*129"),
        (("a", 256, -1), InvalidArgumentError, "overlap"),
    ],
)
def test_wrong_arguments(arguments: tuple[Any, ...], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        chroma.split(*arguments)


def test_columns_are_texts() -> None:
    pandas = pytest.importorskip("pandas")
    assert [piece.text for piece in chroma.split(pandas.Series(["a", "b"]))] == ["a", "b"]


# ---------------------------------------------------------------------------- what is told


def told(caught: list[warnings.WarningMessage]) -> list[str]:
    return [str(warning.message) for warning in caught]


def test_one_warning_per_call() -> None:
    with chroma.EphemeralClient(private=True) as client:
        things = client.create_collection("things")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            things.add(ids=["a", "b", "c"], documents=[LONG, "short", LONG + "end"])
            assert len(caught) == 1 and caught[0].filename == __file__
            assert "2 of 3 texts are longer than the 256 tokens" in told(caught)[0]
            assert "chroma.split(texts)" in told(caught)[0]
            things.query(query_texts=["short", LONG])
            assert "1 of 2 texts is longer" in told(caught)[1]
            things.upsert(ids=["d"], documents=["word " * 254])
            things.add(ids=["e"], documents=["a " * 20_000])
            assert "1 of 1 texts" in told(caught)[2] and len(caught) == 3


def test_one_warning_per_load(tmp_path: Path) -> None:
    import pyarrow as pa

    table = pa.table({"id": [str(n) for n in range(12)], "text": ["short", LONG, "short"] * 4})
    with chroma.EphemeralClient(private=True) as client:
        things = client.create_collection("things")
        with pytest.warns(UserWarning, match="4 of 12 texts are longer") as caught:
            things.load(table)
        assert len(caught) == 1 and caught[0].filename == __file__
        described = things.describe()
        assert (described.documents.cut, described.documents.cut_exact) == (4, True)
        assert "4 longer than the model reads" in repr(described)
        assert described.uris.cut is None


def test_a_few_of_many_are_divided_into_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    from chroma.notebook import describe

    monkeypatch.setattr(describe, "_DIVIDED", 10)
    monkeypatch.setattr(describe, "_SAMPLE", 5)
    summary = describe.Summary("things", DefaultEmbeddingFunction())
    texts = ["qzxj" * 24 + " " + "a " * 30, "a " * 150] * 20 + [LONG, "short"]
    for _ in range(2):
        summary.add(pa.record_batch({"id": [str(n) for n in range(42)], "document": texts}))
    found = summary.finish().documents
    assert found.cut is not None and 2 <= found.cut <= 82 and not found.cut_exact
    assert found.longest == len(LONG)


def test_other_functions_tell_nothing() -> None:
    with chroma.EphemeralClient(private=True) as client:
        things = client.create_collection("things", embedding_function=HashEmbedding())
        things.add(ids=["a"], documents=[LONG])
        assert things.describe().documents.cut is None
        bare = client.create_collection("bare", embedding_function=None)
        assert bare.describe().documents.cut is None
