"""Every notebook runs from top to bottom, prints what is stored in it, and ends with assertions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MAX_BYTES = 50_000

# Runs the cells it reads, one JSON text a line, and answers with what each printed.
RUNNER = """
import contextlib, io, json, sys
names, printed = {"__name__": "__main__"}, []
for number, cell in enumerate(json.load(sys.stdin), 1):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(cell, f"cell {number}", "exec"), names)
    printed.append(out.getvalue())
print(json.dumps(printed))
"""


def code_cells(path: Path) -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text("utf-8"))
    assert notebook["nbformat"] == 4
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def text(lines: str | list[str]) -> str:
    return lines if isinstance(lines, str) else "".join(lines)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_runs_and_prints_what_it_shows(path: Path, tmp_path: Path) -> None:
    cells = code_cells(path)
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUNNER],
        input=json.dumps([text(cell["source"]) for cell in cells]),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=100,
    )
    assert answer.returncode == 0, answer.stderr
    shown = ["".join(text(output["text"]) for output in cell["outputs"]) for cell in cells]
    assert json.loads(answer.stdout) == shown
    assert list(tmp_path.iterdir()) == [], "a notebook cleans up after itself"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_is_small_and_ends_with_assertions(path: Path) -> None:
    assert path.stat().st_size < MAX_BYTES
    cells = code_cells(path)
    assert "assert " in text(cells[-1]["source"])
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
