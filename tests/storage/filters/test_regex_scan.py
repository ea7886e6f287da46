"""The texts that a regular expression matches, against RE2 and against Python."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.filters import regex_scan
from chroma.storage.filters.column_index import Texts
from chroma.storage.filters.document_scan import Documents
from chroma.storage.native import kernel

native: Any = kernel.text
needs_native = pytest.mark.skipif(native is None, reason="the engine is not compiled")

ATOMS = r"""
a b k s K S ab abc é É 日本 İ ı ſ K ß . [ab] [^a] []a] [a-s] [^a-z] [é-日] [k\W] [\d-z] [--a] [[:alpha:]]
[[:^upper:]] [[:word:]x] \. \d \D \w \W \s \S \b \B ^ $ { } ] {2 {0} {1} {1,2} {3,} {02} {,2} .* .+? .*$ ^.*
? * + ?? *? | ( ) (?: (?i) (?s) (?m) (?is) (?i-s) (?i: (?-i: (?P<n> (?-s) \x61 \Q \E \pL \p{L} \n \ \\ \_
\A \z \C
"""
atoms = st.sampled_from([*ATOMS.split(), "\n", " "])
letters = st.text("abksKSzéÉ日本İıſKß.{}2,0]\n _", max_size=14)


def found(texts: list[str | None], pattern: str) -> list[bool]:
    array = pa.array(texts, pa.string())
    return regex_scan.matching(Documents.of_array(array), pattern, lambda: array).mask.tolist()


def re2(texts: list[str | None], pattern: str) -> list[bool] | None:
    try:
        return [bool(matched) for matched in pc.match_substring_regex(pa.array(texts), pattern).to_pylist()]
    except pa.ArrowInvalid:
        return None


@settings(max_examples=2500, derandomize=True, database=None, deadline=None)
@given(
    pattern=st.lists(atoms, min_size=1, max_size=8).map("".join),
    documents=st.lists(st.one_of(st.none(), letters), min_size=1, max_size=12),
    few=st.sampled_from([0.0, 0.4, 1.0]),
)
def test_it_finds_what_re2_finds(pattern: str, documents: list[str | None], few: float) -> None:
    texts = [*documents, pattern, *(None if text is None else text + pattern for text in documents)]
    texts += [text for text in texts if text is not None and text][:1] * 20  # several are read in turn
    expected = re2(texts, pattern)
    if expected is None:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chroma.storage.filters.regex_literals.LEAST", 1)
        patch.setattr(regex_scan, "_FEW_CANDIDATES", few)
        patch.setattr(regex_scan, "_SAMPLE", 3)
        patch.setattr(regex_scan, "_THREAD_BYTES", 0)
        regex_scan._plan.cache_clear()
        assert found(texts, pattern) == expected
        column = Texts(len(texts), pa.array(texts, pa.string()), None, lambda by: None)
        assert column.matching(pattern).mask.tolist() == expected
    regex_scan._plan.cache_clear()
