"""Requests whose answers are a thousand times as large."""

from __future__ import annotations

from pathlib import Path

import pytest

from .rounds import run


@pytest.mark.parametrize("accept", ["application/json", "application/vnd.apache.arrow.stream"])
def test_a_large_answer_takes_little_memory(tmp_path: Path, accept: str) -> None:
    assert not run("tests.attack.answer_rounds", 1, tmp_path, accept)
