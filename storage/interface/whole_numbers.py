"""Whole numbers as ids: an id is a text, and a whole number stands for its decimal digits."""

from __future__ import annotations

from typing import Any

import numpy as np


def digits(value: Any) -> Any:
    """Return the digits of a whole number, and any other value as it is. A bool is not a number here."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(int(value))
    return value
