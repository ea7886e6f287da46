"""One call to the system fails, or is the last one, at every place of every kind of work.

Nothing acknowledged is lost, and there are no errors but those of the package.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .rounds import ROOT, SCALE, scaled

HERE = Path(__file__).parent
KINDS = re.findall(r'^    "([\w ]+)": Work\(', (HERE / "failing_calls.py").read_text(), re.M)
# What `make test` has time for: the kinds of work that publish something. Each begins a process of its own.
PUBLISHING = [
    "create",
    "big add",
    "delete",
    "compact",
    "background",
    "fork",
    "next backup",
    "restore over",
    "load",
]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="preloads a library, as Linux does it"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler (Debian: gcc)"),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("failing") / "failing.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(made), str(HERE / "failing.c"), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return made


@pytest.mark.parametrize("kind", KINDS if SCALE else PUBLISHING)
def test_a_call_that_fails_or_is_the_last_loses_nothing(kind: str, library: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.attack.failing_calls", kind]
    done = subprocess.run(
        [*command, str(scaled(5, 1400)), "0123"],
        cwd=ROOT,
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        timeout=3500,
    )
    assert done.returncode == 0, done.stderr
    *wrong, last = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert last["places"] >= min(5, last["calls"])
    assert not wrong, json.dumps(wrong, indent=1)
    print(last)


def test_all_kinds_are_found() -> None:
    assert len(KINDS) >= 24 and set(PUBLISHING) < set(KINDS)
