"""Pruning keeps the newest backups, and touches nothing but backups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chroma.errors import InvalidArgumentError
from chroma.maintenance import backup_series


def made(folder: Path, finished: str | None = "2026-01-05T00:00:00Z") -> None:
    folder.mkdir(parents=True)
    (folder / "backup.json").write_text(json.dumps({"format": 1, "source": "/x", "finished": finished}))


def test_pruning(tmp_path: Path) -> None:
    days = [f"2026-01-0{day}T00-00-00Z" for day in range(1, 6)]
    for day in days:
        made(tmp_path / day)
    made(tmp_path / "mine")
    made(tmp_path / "2025-01-01T00-00-00Z", finished=None)  # one that is being made
    (tmp_path / "2024-01-01T00-00-00Z").mkdir()  # no backup
    made(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    (tmp_path / "2023-01-01T00-00-00Z").symlink_to(tmp_path.parent / f"{tmp_path.name}-elsewhere")
    made(tmp_path / ".removed-2022-01-01T00-00-00Z")  # what an interrupted removal has left
    before = {entry.name for entry in tmp_path.iterdir()}
    assert backup_series.prune(tmp_path, 2) == days[:3]
    assert before - {entry.name for entry in tmp_path.iterdir()} == {
        *days[:3],
        ".removed-2022-01-01T00-00-00Z",
    }
    assert (tmp_path.parent / f"{tmp_path.name}-elsewhere" / "backup.json").exists()
    assert backup_series.prune(tmp_path, 2) == []
    assert backup_series.last(tmp_path) == 1767571200


def test_nothing_is_there(tmp_path: Path) -> None:
    assert backup_series.names(tmp_path / "missing") == [] and backup_series.last(tmp_path / "missing") == 0
    with pytest.raises(InvalidArgumentError, match="keep is 0"):
        backup_series.prune(tmp_path, 0)
