"""Dying between any two steps that change the disk loses nothing acknowledged and halves nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.embedded.backend import check_folder

from .injected import operations

SCRIPT = Path(__file__).with_name("injected.py")
MOST_POINTS = 32


def _run(folder: Path, step: int) -> list[str]:
    command = [sys.executable, "-m", "tests.crash.injected", str(folder), str(step)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=SCRIPT.parents[2])
    assert done.returncode == (0 if step == 0 else -9), done.stderr
    return done.stdout.splitlines()


def _states() -> list[dict[str, Any]]:
    """What the collection holds after each operation: id -> metadata number."""
    held: dict[str, Any] = {}
    kept: dict[str, dict[str, Any]] = {}
    states: list[dict[str, Any]] = [dict(held)]
    for verb, arguments in operations():
        if verb == "update":
            new = zip(arguments["ids"], [m["n"] for m in arguments["metadatas"]], strict=True)
            held = held | {id: n for id, n in new if id in held}
        elif verb in ("add", "upsert"):
            held |= dict(zip(arguments["ids"], [m["n"] for m in arguments["metadatas"]], strict=True))
        elif verb == "delete" and "ids" in arguments:
            held = {id: n for id, n in held.items() if id not in arguments["ids"]}
        elif verb == "snapshot":
            kept[arguments["name"]] = dict(held)
        elif verb == "restore":
            held = dict(kept[arguments["name"]])
        elif verb == "delete":
            held = {id: n for id, n in held.items() if n < 100}
        states.append(dict(held))
    return states


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    lines = _run(tmp_path_factory.mktemp("counting"), 0)
    return [line for line in lines if line.startswith("step")]


def _points(steps: list[str]) -> list[int]:
    """The first of each kind of step, and others evenly spread."""
    first = {name: number for number, name in reversed(list(enumerate(steps, 1)))}
    spread = range(1, len(steps) + 1, max(1, len(steps) // 14))
    return sorted({*first.values(), *spread})[:MOST_POINTS]


def test_every_step_may_be_the_last(steps: list[str], tmp_path: Path) -> None:
    states = _states()
    for point in _points(steps):
        folder = tmp_path / f"at-{point}"
        acknowledged = sum(line.startswith("acknowledged") for line in _run(folder, point))
        _check(folder, states, acknowledged, f"step {point}: {steps[point - 1]}")


def _check(folder: Path, states: list[dict[str, Any]], acknowledged: int, where: str) -> None:
    with chroma.PersistentClient(folder) as client:
        collection = client.get_or_create_collection("col", embedding_function=None)
        got = collection.get(include=["metadatas"])
        held = dict(zip(got["ids"], [m["n"] for m in got["metadatas"]], strict=True))
        possible = states[max(0, acknowledged - 1) : acknowledged + 1]
        assert held in possible, f"{where}: {len(held)} records, expected one of {[len(p) for p in possible]}"
        if held:
            own = collection.get(limit=50, include=["embeddings"])
            found = collection.query(query_embeddings=own["embeddings"], n_results=1, exact=True)
            assert [ids[0] for ids in found["ids"]] == own["ids"], where
        collection.add(ids=["after"], embeddings=[[1, 2]])
        assert collection.count() == len(held) + 1, where
    assert check_folder(str(folder)).ok, where
