"""Folders of Chroma that an enemy made: an error each time, and nothing of them is run."""

from __future__ import annotations

from pathlib import Path

from ..chroma.migration import handmade
from ..chroma.migration.handmade import Made, vectors
from .rounds import run, scaled


def test_changed_bytes_are_an_error_or_data(tmp_path: Path) -> None:
    made = [Made("notes", vectors(12), indexed=7), Made("more", vectors(9, 3), indexed=9, space="cosine")]
    handmade.write(tmp_path / "old", made).close()
    found = run(
        "tests.attack.migration_rounds", scaled(120, 10_000), tmp_path / "old", memory=3 << 30, seconds=3600
    )
    assert not found, "\n".join(found[:20])
