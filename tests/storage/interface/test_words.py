"""Words: stems that never change, their hashes, and how often each occurs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.interface import words
from chroma.storage.interface.english_stemmer import stem
from chroma.storage.interface.words import Tokenizer, hash_of
from chroma.storage.native import kernel

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


TEXTS = [
    "The Apples -- apple!",
    "",
    "of the",
    "pie",
    "x" * 41 + " pie",
    "a_b c3\x1cd\x00e f'g",
    "PIE pie Pie",
]


def test_counts() -> None:
    found = Tokenizer().count(TEXTS[:5])
    assert found.texts.tolist() == [0, 3, 4]
    assert found.hashes.tolist() == [hash_of("appl"), hash_of("pie"), hash_of("pie")]
    assert found.counts.tolist() == [2, 1, 1]
    assert found.lengths.tolist() == [2, 0, 0, 1, 1]


def columns(texts: list[str]) -> list[list[int]]:
    return [column.tolist() for column in Tokenizer().count(texts)]


def check(texts: list[str]) -> None:
    """The compiled part, its twin, and the stems one by one agree."""
    found = columns(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "postings", None)
        assert columns(texts) == found
    expected = [sorted(map(hash_of, Tokenizer().stems(text))) for text in texts]
    pairs = zip(found[0], found[1], found[2])
    told: list[list[int]] = [[] for _ in texts]
    for text, hash, count in pairs:
        told[text] += [hash] * count
    assert told == expected
    assert found[3] == list(map(len, expected))


def test_the_compiled_part_and_its_twin_agree() -> None:
    check(TEXTS)
    check([*TEXTS, "größe ΣΑΣ 日本語"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(st.characters(max_codepoint=127), max_size=60), max_size=5))
def test_any_ascii_text(texts: list[str]) -> None:
    check(texts)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=4))
def test_any_text(texts: list[str]) -> None:
    check(texts)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_MOST_REMEMBERED", 10)
    tokenizer = Tokenizer()
    texts = [f"word{number} word{number % 3}" for number in range(100)]
    assert tokenizer.count(texts).hashes.tolist() == Tokenizer(longest=99).count(texts).hashes.tolist()
    assert len(tokenizer._hashes) <= 10


def test_the_compiled_part_refuses_other_values() -> None:
    for arguments in (("a", {}), (["a"], []), ([1], {}), ([None], {})):
        with pytest.raises(TypeError):
            kernel.postings.words(*arguments)  # type: ignore[union-attr]
    with pytest.raises(KeyError):
        kernel.postings.words(["word"], {})  # type: ignore[union-attr]
