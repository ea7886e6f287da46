"""The three distances as functions of two vectors, as `chromadb.utils.distance_functions` has them."""

from __future__ import annotations

import numpy as np

from ..types import Vector

_TINY = 1e-30  # keeps the division defined if a vector is all zeros


def l2(x: Vector, y: Vector) -> float:
    """Return the squared Euclidean distance."""
    difference = np.asarray(x, float) - np.asarray(y, float)
    return float(difference @ difference)


def cosine(x: Vector, y: Vector) -> float:
    """Return 1 minus the cosine of the angle."""
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return 1.0 - float(np.dot(x, y)) / (lengths + _TINY)


def ip(x: Vector, y: Vector) -> float:
    """Return 1 minus the inner product."""
    return 1.0 - float(np.dot(x, y))
