"""What the programs of this folder share: a comparison that names its step, and an embedding."""

from __future__ import annotations

import sys
from typing import Any


def letters(text: str) -> list[float]:
    """Counts of a, b and c, and one number that is never zero."""
    return [float(text.count(letter)) for letter in "abc"] + [0.1]


def equal(step: str, got: Any, expected: Any) -> None:
    if got != expected:
        sys.exit(f"FAILED {step}: got {got!r}, expected {expected!r}")
    print(f"ok     {step}")


def answered_by_us() -> None:
    """End the program if `chromadb` is Chroma's own package."""
    import chromadb

    equal("chromadb is this package", chromadb.Collection.__module__, "chroma.api.models.Collection")
