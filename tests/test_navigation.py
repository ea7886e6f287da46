"""What can be found from the listing of files alone: thirty tasks, and the first tries of readers who had
nothing but the listing. tests/data/navigation/tasks.json says for each task which files are right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.import_graph import ROOT

DATA = Path(__file__).parent / "data" / "navigation"
TASKS = json.loads((DATA / "tasks.json").read_text("utf-8"))
AT_LEAST = 26


def test_the_right_files_exist() -> None:
    missing = {file for task in TASKS for file in task["files"] if not (ROOT / file).is_file()}
    assert len(TASKS) == 30
    assert not missing, "a file has moved: ask readers again with the new listing"


@pytest.mark.parametrize("reader", sorted(path.name for path in DATA.glob("answers-*.json")))
def test_a_reader_finds_most_at_the_first_try(reader: str) -> None:
    answers = json.loads((DATA / reader).read_text("utf-8"))
    right = [answer in task["files"] for task, answer in zip(TASKS, answers, strict=True)]
    assert sum(right) >= AT_LEAST
