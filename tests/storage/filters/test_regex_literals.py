"""What a regular expression requires: never more than RE2 does."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.filters.regex_literals import NOTHING, AllOf, OneOf, required
from chroma.storage.filters.regex_syntax import is_literal, parse


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("boundary", "boundary"),
        ("ab", NOTHING),  # shorter than what is looked for
        ("日本", "日本"),
        ("boundary layer[0-9]+ flow", AllOf(("boundary layer", " flow"))),
        ("colou?r", "colo"),
        ("abcd*", "abc"),
        ("abcd+efg", AllOf(("abcd", "defg"))),
        ("abcd{2,}efg", AllOf(("abcd", "defg"))),
        ("abcd{0,3}efg", AllOf(("abc", "efg"))),
        ("abc{05}", "abc{05}"),
        ("abc{,5}", "abc{,5}"),
        ("abc+?def", AllOf(("abc", "cdef"))),
        ("cats|dogs", OneOf(("cats", "dogs"))),
        ("cats|d", NOTHING),
        ("the (cats|dogs) run", AllOf(("the ", OneOf(("cats", "dogs")), " run"))),
        ("the (?:cats)* run", AllOf(("the ", " run"))),
        ("the (?P<animal>cats)+ run", AllOf(("the ", "cats", " run"))),
        (r"3\.14\d", "3.14"),
        (r"\bword\b", "word"),
        ("^begins.*ends$", AllOf(("begins", "ends"))),
        ("[]abc]+def", "def"),
        ("[^]]def", "def"),
        ("[[:alpha:]]def", "def"),
        (r"[\]x]def", "def"),
        ("(?i)boundary", NOTHING),
        ("(?i:boundary) layer", " layer"),
        ("abc(?s)?def", NOTHING),  # the quantifier is that of the c
        ("(?s)boundary.layer", AllOf(("boundary", "layer"))),
        ("(?s-m:boundary)", "boundary"),
        (r"\Qa.b\E", NOTHING),
        (r"\x41bcd", NOTHING),
        (r"\p{Greek}bcd", NOTHING),
        (".*", NOTHING),
        ("(" * 60 + "abc" + ")" * 60, NOTHING),
        ("tab\\tabc", "tab\tabc"),
    ],
)
def test_what_patterns_require(pattern: str, expected: Any) -> None:
    assert required(parse(pattern)) == expected


def test_patterns_without_syntax_are_texts() -> None:
    assert is_literal("a text: 1 - 2, 日本") and not any(map(is_literal, "\\.^$|?*+()[]{}"))


def has(document: str, needed: Any) -> bool:
    if isinstance(needed, str):
        return needed in document
    found = [has(document, part) for part in needed.parts]
    return any(found) if isinstance(needed, OneOf) else all(found)


ATOMS = r"""
a b ab abc é 日本 . [ab] [^a] []a] [[:alpha:]] \. \d \w \b ^ $ { } ] {2 {0} {1,2} {02} {,2}
? * + ?? *? | ( ) (?: (?i) (?s) (?i: (?P<n> (?-s) \x61 \Q \E \pL \p{L} \n \ \\ \_ \A \z \C
"""
atoms = st.sampled_from(ATOMS.split())
letters = st.text("abé日本.{}2,0]\n", max_size=14)


@settings(max_examples=1500, derandomize=True, database=None, deadline=None)
@given(
    pattern=st.lists(atoms, min_size=1, max_size=9).map("".join),
    documents=st.lists(letters, min_size=1, max_size=12),
)
def test_no_match_lacks_what_is_required(pattern: str, documents: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chroma.storage.filters.regex_literals.LEAST", 1)
        needed = required(parse(pattern))
    try:
        # texts of the pattern's own characters match more often
        texts = [*documents, *(document + pattern + document for document in documents), pattern, ""]
        matches = pc.match_substring_regex(pa.array(texts), pattern).to_pylist()
    except pa.ArrowInvalid:
        return
    for text, matched in zip(texts, matches, strict=True):
        assert not matched or has(text, needed), (text, needed)
