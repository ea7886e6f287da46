"""Dates and times as numbers, which filters compare.

Owns: which texts are times. Metadata has no type for times, so they are texts in ISO 8601: a date, or a date
and a time of day with an optional fraction and zone. A time without a zone counts as UTC, and a date is its
first moment. The functions are pure.
"""

from __future__ import annotations

import datetime
import re

_TEXT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?(?:(Z|z)|([+-])(\d\d):?(\d\d)?)?)?",
    re.ASCII,
)
_EPOCH = datetime.date(1970, 1, 1).toordinal()


def nanoseconds(text: str) -> int | None:
    """Return the nanoseconds from 1970 in UTC to the time that a text names. None if it names none."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = match.groups()
    try:
        days = datetime.date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    if int(hour or 0) > 23 or int(minute or 0) > 59 or int(second or 0) > 59:
        return None
    seconds = days * 86_400 + int(hour or 0) * 3600 + int(minute or 0) * 60 + int(second or 0)
    if sign:
        offset = int(hours) * 3600 + int(minutes or 0) * 60
        seconds -= offset if sign == "+" else -offset
    return seconds * 1_000_000_000 + (int(fraction.ljust(9, "0")) if fraction else 0)
