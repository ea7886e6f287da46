"""What type checkers say of calls: an error where a call is wrong, and nowhere else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CALLS = ROOT / "tests" / "data" / "typing" / "calls.py"
WRONG = {number for number, line in enumerate(CALLS.read_text().splitlines(), 1) if line.endswith("# wrong")}


def test_mypy() -> None:
    command = [sys.executable, "-m", "mypy", "--strict", str(CALLS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    found = {int(number) for number in re.findall(r"calls\.py:(\d+): error", done.stdout)}
    assert found == WRONG, done.stdout + done.stderr


def test_pyright() -> None:
    """.ci/run installs the checker, which brings 280 MB of Node.js along."""
    pytest.importorskip("basedpyright")
    command = [sys.executable, "-m", "basedpyright", "-p", str(CALLS.parent), "--outputjson"]
    done = subprocess.run(
        [*command, "--pythonpath", sys.executable], capture_output=True, text=True, cwd=ROOT
    )
    messages = json.loads(done.stdout)["generalDiagnostics"]
    errors = {each["range"]["start"]["line"] + 1 for each in messages if each["severity"] == "error"}
    assert errors == WRONG, done.stdout
