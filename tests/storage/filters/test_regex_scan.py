"""The texts that a regular expression matches, against RE2 and against Python."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chroma.storage.arrow.arrays import numbers
from chroma.storage.filters import regex_scan
from chroma.storage.filters.column_index import Texts
from chroma.storage.filters.document_scan import Documents
from chroma.storage.filters.regex_program import MOST, compiled
from chroma.storage.filters.regex_syntax import Assertion, Chars, Sequence, parse, searched
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


@settings(max_examples=600, derandomize=True, database=None, deadline=None)
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
        patch.setattr(regex_scan, "_PART_BYTES", 9)
        patch.setattr(regex_scan, "_THREAD_SECONDS", 0.0)
        regex_scan._plan.cache_clear()
        assert found(texts, pattern) == expected
        column = Texts(len(texts), pa.array(texts, pa.string()), None, lambda by: None)
        assert column.matching(pattern).mask.tolist() == expected
    regex_scan._plan.cache_clear()


WORDS = [
    "",
    "Straße",
    "STRASSE",
    "straẞe",
    "İstanbul",
    "istanbul",
    "ıstanbul",
    "ISTANBUL",
    "Kelvin",
    "kelvin",
]
WORDS += [
    "ſharp",
    "Sharp",
    "Größe",
    "GRÖSSE",
    "GRÖẞE",
    "МОСКВА",
    "москва",
    "ΣΑΣ",
    "σας",
    "日本",
    "a\r\nb",
    "\n",
    "b\n",
]
short = st.text("aAbkKsSßẞİıſKéÉσςΣя \n\r%_", max_size=4)


@settings(max_examples=200, derandomize=True, database=None, deadline=None)
@given(text=short, documents=st.lists(st.one_of(st.none(), short, st.sampled_from(WORDS)), max_size=12))
def test_texts_in_any_case_are_those_of_re2(text: str, documents: list[str | None]) -> None:
    texts = [*documents, *WORDS, text, text.upper(), text.swapcase()]
    for pattern in (f"(?i){re.escape(text)}", f"(?is)^.*{re.escape(text)}.*$", f"(?i)^{re.escape(text)}"):
        assert found(texts, pattern) == re2(texts, pattern), pattern


@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(
    needle=st.text("aAbB -\n", min_size=1, max_size=3),
    documents=st.lists(st.text("aAbB -\n", max_size=9), min_size=1, max_size=9),
)
def test_plain_texts_are_those_of_python(needle: str, documents: list[str]) -> None:
    small = [text.lower() for text in documents]
    assert found([*documents], f"(?i){re.escape(needle)}") == [needle.lower() in text for text in small]
    assert found([*documents], f"{re.escape(needle)}$") == [text.endswith(needle) for text in documents]
    assert found([*documents], f"^{re.escape(needle)}") == [text.startswith(needle) for text in documents]
    assert found([*documents], f"{re.escape(needle)}|b-") == [needle in t or "b-" in t for t in documents]


def test_characters_in_any_case_are_those_of_re2() -> None:
    """Among all characters, so that none is missing in the tables."""
    texts: list[str | None] = [chr(point) for point in range(0x20000) if not 0xD800 <= point < 0xE000]
    array = pa.array(texts)
    documents = Documents.of_array(array)
    for text in "kKsSiIﬅßẞİıſKéσςΣяǅᲀꙋⅷⓐ\u0345𐐀日":
        pattern = f"(?i){text}"
        assert parse(pattern) is not None
        expected = numbers(pc.match_substring_regex(array, pattern))
        assert np.array_equal(regex_scan.matching(documents, pattern, lambda: array).mask, expected), text


def test_classes_are_those_of_re2() -> None:
    texts: list[str | None] = [chr(point) for point in range(0x3000)]
    for pattern in (
        r"\w",
        r"(?i)\W",
        r"\s",
        r"\D",
        ".",
        "(?s).",
        r"[^\n]",
        "(?i)[^k]",
        "(?i)[^à-é]",
        r"[\S]",
    ):
        assert parse(pattern) is not None
        assert found(texts, pattern) == re2(texts, pattern), pattern
    names = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit"
    for name in names.split():
        for pattern in (f"[[:{name}:]]", f"[[:^{name}:]]", f"(?i)[^[:{name}:]]"):
            assert parse(pattern) is not None
            assert found(texts, pattern) == re2(texts, pattern), pattern


@pytest.mark.parametrize(
    ("pattern", "simpler"),
    [
        ("(?s)^.*ab.*$", "ab"),
        ("(?s)^.*a.*b$", "a(?s:.*)b$"),
        (".*ab", "ab"),
        ("ab.*", "ab"),
        ("x+ab", "xab"),
        ("a{2,}", "a{2,2}"),
        ("x*ab|.*c", "ab|c"),
        ("^.*ab$", "^.*ab$"),  # the first line only
        ("a?", ""),
    ],
)
def test_what_is_looked_for(pattern: str, simpler: str) -> None:
    tree, other = parse(pattern), parse(simpler)
    assert tree is not None and other is not None
    assert searched(tree) == other


@needs_native
def test_what_ends_at_the_end_is_read_backwards() -> None:
    for pattern, backwards in (("ab$", True), ("^ab$", False), ("(?m)ab$", False), ("ab", False)):
        tree = parse(pattern)
        assert tree is not None
        program = compiled(tree)
        assert program is not None and program.backwards == backwards


@needs_native
@pytest.mark.parametrize("pattern", ["a[ab]{20}[^ab]", "(a|b)*(a[ab]{20}b.|b.{30}a)c"])
def test_what_needs_too_many_states_is_left_to_re2(pattern: str) -> None:
    dice = np.random.default_rng(0)
    texts: list[str | None] = ["".join(dice.choice(list("ab"), 300)) for _ in range(20)]
    tree = parse(pattern)
    assert tree is not None
    program, documents = compiled(searched(tree)), Documents.of_array(pa.array(texts))
    assert program is not None and regex_scan._run(documents, program, None) is None
    assert found(texts, pattern) == re2(texts, pattern)


def test_long_programs_are_left_to_re2() -> None:
    tree = parse(f"[a-c]{{1000}}.{{{MOST}}}")
    assert tree is not None and compiled(tree) is None


def test_without_a_compiler_re2_tries_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "text", None)
    assert found(["ab", None, "xB", ""], "(?i)b$") == [True, False, True, False]


def test_large_texts_are_read_by_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex_scan, "_PART_BYTES", 1000)
    monkeypatch.setattr(regex_scan, "_THREAD_SECONDS", 0.0)
    monkeypatch.setattr(regex_scan, "cores", lambda: 3)
    texts: list[str | None] = [f"number {row} of some" if row % 7 else None for row in range(1000)]
    for pattern in ("1[0-9]+5", "(?i)NUMBER [2-5]", r"\d\d\b.*me$", "x", r"(\d|o)", "number 1.*5"):
        assert found(texts, pattern) == re2(texts, pattern), pattern


@needs_native
def test_invalid_arguments_are_refused() -> None:
    documents = Documents.of_array(pa.array(["ab", "cd", "é"]))
    program = compiled(Sequence((Chars(((97, 98),)), Assertion("end"), Chars(((0, 0x10FFFF),)))))
    assert program is not None

    def run(**changes: Any) -> Any:
        of_documents = {"offsets": documents.offsets, "data": documents.data}
        of_program = {"code": program.code, "start": program.start}
        rest = {"first": 0, "stop": 3, "rows": None, "out": np.zeros(3, np.bool_), "backwards": False}
        return native.matches(*(of_documents | of_program | rest | changes).values())

    assert run() is True
    assert run(rows=np.array([2, 0, 2])) is True
    for rows in ([0, 1, 3], [-1, 0, 1]):
        with pytest.raises(ValueError, match="within the bytes"):
            run(rows=np.array(rows))
    for offsets in ([0, 2, 9, 6], [0, 2, 1, 6], [-1, 2, 4, 6]):
        for backwards in (False, True):
            with pytest.raises(ValueError, match="within the bytes"):
                run(offsets=np.array(offsets), backwards=backwards)
    fits = "do not fit each other"
    invalid: list[dict[str, Any]] = [
        {"start": -1},
        {"start": 99},
        {"first": 2, "stop": 1},
        {"stop": 4},
        {"first": -1},
    ]
    invalid += [
        {"out": np.zeros(2, np.bool_)},
        {"code": program.code[:0]},
        {"code": program.code.ravel()[:-1]},
    ]
    for at, line in ((0, [4, 0, 0, 0]), (0, [0, 0, 256, 0]), (0, [0, -1, 0, 0]), (0, [0, 0, 0, 99])):
        invalid.append({"code": with_line(program.code, at, line)})
    for line in ([1, -1, 0, 0], [1, 0, 99, 0], [2, 6, 0, 0], [2, 0, 99, 0]):
        invalid.append({"code": with_line(program.code, 0, line)})
    for changes in invalid:
        with pytest.raises(ValueError, match=fits):
            run(**changes)
    with pytest.raises(TypeError, match="9 arguments"):
        native.matches(1)
    with pytest.raises(TypeError, match="offsets"):
        run(offsets=documents.offsets.astype(np.int16))


def with_line(code: Any, at: int, line: list[int]) -> Any:
    out = code.copy()
    out[at] = line
    return out


@needs_native
@settings(max_examples=150, derandomize=True, database=None, deadline=None)
@given(
    code=st.lists(st.tuples(st.integers(0, 3), *[st.integers(0, 5)] * 3), min_size=6, max_size=6),
    backwards=st.booleans(),
    texts=st.lists(st.binary(max_size=5), min_size=1, max_size=9),
)
def test_any_program_ends(code: list[tuple[int, ...]], backwards: bool, texts: list[bytes]) -> None:
    """A program may have cycles and need not be one of a pattern."""
    ends = np.cumsum([0, *map(len, texts)])
    data = np.frombuffer(b"".join(texts) or b"\0", np.uint8)[: ends[-1]]
    data = np.where(data < 128, data % 6, data).astype(np.uint8)
    out = np.zeros(len(texts), np.bool_)
    program, count = np.array(code, np.int32), len(texts)
    assert native.matches(ends, data, program, 0, 0, count, None, out, backwards) is True
    again, rows = np.zeros(count, np.bool_), np.arange(count)  # without probes
    assert native.matches(ends, data, program, 0, 0, count, rows, again, backwards) is True
    assert out.tolist() == again.tolist()
