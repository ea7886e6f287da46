"""Short texts for values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chroma.rendering import html, text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ("two\n\t  rows", "two rows"),
        ("0123456789", "0123456789"),
        ("0123456789a", "0123456789…"),
        ("x" * 10**6, "x" * 10 + "…"),
        ("a" + " " * 100 + "b", "a…"),
        ("bell\x07", "bell␇"),
        ("", ""),
    ],
)
def test_texts_are_shortened_and_visible(given: str, shown: str) -> None:
    assert text.short(given, 10) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("noun", "noun"),
        ("2", "'2'"),
        ("1e5", "'1e5'"),
        ("", "''"),
        ("True", "'True'"),
        (" padded", "' padded'"),
        (2, "2"),
        (2.0, "2.0"),
        (True, "True"),
        ([1, 2], "[1, 2]"),
        (list("abcdefg"), "[a, b, c, d, e, …]"),
        (None, ""),
        (np.zeros((2, 3), np.uint8), "2×3 uint8"),
        ({"a": 1}, "{'a': 1}"),
    ],
)
def test_values_show_their_type_where_it_matters(given: Any, shown: str) -> None:
    assert text.value(given) == shown


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (0.0, "0.0000"),
        (-1e-9, "0.0000"),
        (0.31684, "0.3168"),
        (-0.5, "-0.5000"),
        (1e-5, "1e-05"),
        (2e9, "2e+09"),
    ],
)
def test_distances(given: float, shown: str) -> None:
    assert text.distance(given) == shown


def test_vectors_are_told_by_their_length_and_beginning() -> None:
    assert text.vector(np.array([0.0123456, -2, 3, 4], np.float32)) == "4 numbers [0.0123, -2, 3, …]"
    assert text.vector([1.0]) == "1 number [1]"
    assert text.vector(None) == ""


def test_metadata_with_many_keys_is_cut() -> None:
    shown = text.pairs({str(i): i for i in range(40)}, most=2)
    assert shown == [("0", "0"), ("1", "1"), ("…", "and 38 more")]


def test_texts_become_no_markup() -> None:
    made = html.node("div", "a:'\"b", "<b>&", html.node("span", "", "x"))
    assert made == '<div style="a:&#x27;&quot;b">&lt;b&gt;&amp;<span>x</span></div>'
    assert html.node("div", "", "\ud800") == "<div>?</div>"


def test_an_error_becomes_a_sentence() -> None:
    def broken() -> html.Html:
        raise ValueError("http://user:secret@host <b>")

    made = html.safely("Thing", broken)
    assert "cannot be shown as a table: ValueError: http://host &lt;b&gt;" in made
