"""Words: stems that never change, their hashes, and how often each occurs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chroma.storage.interface import words
from chroma.storage.interface.english_stemmer import stem
from chroma.storage.interface.words import Tokenizer, frequencies, hash_of

STEMS = json.loads((Path(__file__).parents[2] / "data" / "stems.json").read_text("utf-8"))


def test_stems_are_those_of_snowball_2() -> None:
    """The file was made with the package snowballstemmer 2.2.0."""
    assert {word: stem(word) for word in STEMS} == STEMS


@pytest.mark.parametrize(
    ("word", "expected"),
    [("", ""), ("a", "a"), ("as", "as"), ("'", "'"), ("organization", "organ"), ("日本語", "日本語")],
)
def test_small_and_foreign_words(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_hashes_are_those_of_murmur3() -> None:
    known = {"": 0, "a": 1009084850, "test": 1167338989, "hello": 613153351, "größe": 472672705}
    assert {word: hash_of(word) for word in known} == known


def test_terms() -> None:
    found = Tokenizer().terms(["The Apples -- apple!", "", "of the", "pie", "x" * 41 + " pie"])
    assert found.hashes.tolist() == [*[hash_of("appl")] * 2, hash_of("pie"), hash_of("pie")]
    assert found.lengths.tolist() == [2, 0, 0, 1, 1]
    counted = frequencies(found)
    assert counted.texts.tolist() == [0, 3, 4]
    assert counted.counts.tolist() == [2, 1, 1]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_MOST_REMEMBERED", 10)
    tokenizer = Tokenizer()
    texts = [f"word{number} word{number % 3}" for number in range(100)]
    assert tokenizer.terms(texts).hashes.tolist() == Tokenizer(longest=99).terms(texts).hashes.tolist()
    assert len(tokenizer._hashes) <= 10
