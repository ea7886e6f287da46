"""Texts as times, and filters that compare them, before and after a column has its index."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from chroma.storage.filters.column_index import Texts
from chroma.storage.filters.times import nanoseconds

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00", 0),
        ("1970-01-01 00:00:01", SECOND),
        ("1970-01-01T00:00:00.5Z", SECOND // 2),
        ("1969-12-31T23:59:59.999999999", -1),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T02:00:00+0200", 0),
        ("1969-12-31T19:00:00-05", 0),
        ("9999-12-31", 253_402_214_400 * SECOND),
        ("0001-01-01", -62_135_596_800 * SECOND),
        ("1970-13-01", None),
        ("1970-01-32", None),
        ("1970-01-01T25:00:00", None),
        ("1970-01-01T00:61", None),
        ("1970-01-01Z", None),
        ("1970-1-1", None),
        ("19700101", None),
        ("12:30:00", None),
        ("soon", None),
        ("", None),
        ("\u0661970-01-01", None),
    ],
)
def test_texts_that_are_times(text: str, expected: int | None) -> None:
    assert nanoseconds(text) == expected


def test_times_of_python() -> None:
    zone = dt.timezone(dt.timedelta(hours=-3, minutes=-30))
    for moment in (dt.datetime(2024, 2, 29, 1, 2, 3, 4, zone), dt.datetime(1, 1, 2, tzinfo=zone)):
        since = moment - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
        assert nanoseconds(moment.isoformat()) == (since // dt.timedelta(microseconds=1)) * 1000


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("indexed", [False, True])
def test_every_comparison(sparse: bool, indexed: bool) -> None:
    chosen = random.Random(5)
    days = [dt.date(2024, 1, 1) + dt.timedelta(chosen.randrange(300)) for _ in range(600)]
    texts = [day.isoformat() if chosen.random() < 0.8 else chosen.choice(["soon", None]) for day in days]
    rows = np.sort(np.asarray(chosen.sample(range(2000), 600), np.uint32)) if sparse else np.arange(600)
    if sparse:
        texts = [text or "never" for text in texts]
    grown: list[int] = []
    column = Texts(2000 if sparse else 600, pa.array(texts), rows if sparse else None, grown.append)
    before = column.nbytes
    if indexed:
        for _ in range(20):
            column.one_of(("soon",))
    bound = dt.date(2024, 6, 1)
    holds: dict[Any, Any] = {
        "=": lambda day: day == bound,
        "<": lambda day: day < bound,
        "<=": lambda day: day <= bound,
        ">": lambda day: day > bound,
        ">=": lambda day: day >= bound,
    }
    at = nanoseconds(bound.isoformat())
    assert at is not None
    for op, test in holds.items():
        expected = [
            int(row) for row, day, text in zip(rows, days, texts) if text == day.isoformat() and test(day)
        ]
        assert column.times().where(op, at).rows.tolist() == expected
    assert column.nbytes == before + sum(grown)
