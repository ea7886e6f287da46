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


def test_many_texts_with_the_same_words() -> None:
    """A call with many texts remembers words: short ones, of 24 letters and fewer."""
    parts = [*TEXTS, "the running of " + "n" * 24 + "ing", "n" * 24 + "s " + "n" * 23 + "s", "größe"]
    parts += [f"word{number} words running apples" for number in range(3_000)]
    check([parts[number * 7919 % len(parts)] for number in range(len(parts))] + parts[:200])


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_MOST_REMEMBERED", 10)
    tokenizer = Tokenizer()
    texts = [f"word{number} word{number % 3}" for number in range(100)]
    assert tokenizer.count(texts).hashes.tolist() == Tokenizer(longest=99).count(texts).hashes.tolist()
    assert len(tokenizer._hashes) <= 10


def test_the_compiled_stems_are_those_of_snowball_2() -> None:
    plain = [word for word in STEMS if word.isascii() and word.isalnum() and word not in words.STOPWORDS]
    assert len(plain) > 3_000
    found = Tokenizer().count(plain)
    assert found.lengths.tolist() == [len(STEMS[word]) > 0 for word in plain]
    assert found.hashes.tolist() == [hash_of(STEMS[word]) for word in plain if STEMS[word]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("abdeghilnorstuyz'", min_size=1, max_size=9), max_size=20))
def test_words_that_have_suffixes(parts: list[str]) -> None:
    endings = ("", "s", "ed", "ing", "ly", "ization", "fulness", "ies", "eedly", "ement", "ative", "logi")
    check([part + ending for part in parts for ending in endings])


def test_stop_words_and_lengths_of_ones_own() -> None:
    many = [f"stop{number}" for number in range(300)]  # more than the compiled part takes
    for stopwords in (["Apple", "größe"], many, []):
        tokenizer = Tokenizer(stopwords, 5)
        found = tokenizer.count(["apple pie toolong stop7 größe", "APPLE five5"])
        assert found.hashes.tolist() == sorted(
            map(hash_of, tokenizer.stems("apple pie stop7 größe"))
        ) + sorted(map(hash_of, tokenizer.stems("apple five5")))


def test_the_compiled_part_refuses_other_values() -> None:
    kernel_words = kernel.postings.words  # type: ignore[union-attr]
    for arguments in (
        ("a", (), 40, list),
        (["a"], [], 40, list),
        ([1], (), 40, list),
        ([None], (), 40, list),
    ):
        with pytest.raises(TypeError):
            kernel_words(*arguments)
    with pytest.raises(TypeError):
        kernel_words(["ü"], (), 40, len)
    with pytest.raises((TypeError, OverflowError)):
        kernel_words(["ü"], (), 40, lambda text: ["a"])
    with pytest.raises(ValueError):
        kernel_words(["a"], tuple(map(str, range(300))), 40, list)
