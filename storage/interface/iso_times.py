"""Writes dates and times in ISO 8601, the form in which metadata and JSON have them."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np


def is_time(value: Any) -> bool:
    """Whether a value is a date or a date with a time of day, of Python, numpy or pandas."""
    return isinstance(value, (datetime.date, np.datetime64))


def text_of(value: Any) -> str | None:
    """Return a date or time as text, with its zone as an offset. None for NaT."""
    if value != value:
        return None
    if isinstance(value, np.datetime64):
        unit = np.datetime_data(value.dtype)[0]
        if unit in ("Y", "M", "W", "D"):
            return str(value.astype("datetime64[D]"))
        return str(value.astype("datetime64[s]") if unit in ("h", "m") else value)
    return str(value.isoformat())
