"""How much of an attack is run, and rounds in a child process that may die of them.

A module of rounds has a function `main(start, stop, *arguments)`, run by `python -m`; see `Rounds`.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCALE = float(os.environ.get("CHROMA_ATTACK_SCALE", "0"))  # 0: what `make test` runs; 1: all of it
_ROUND = struct.Struct("<q")
_MOST_DEATHS = 20  # after that an attack is stopped: it has been found out


def scaled(few: int, all: int) -> int:
    """The number of rounds: `few` in `make test`, `all` in `make attack`, between them by the scale."""
    return round(few + (all - few) * SCALE)


class Rounds:
    """The rounds of a child, from its command line: iterating tells the parent where the child is."""

    def __init__(self) -> None:
        self._start, self._stop, note, memory = (int(text) for text in sys.argv[1:5])
        self._note = note
        self.arguments = sys.argv[5:]
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    def __iter__(self) -> Iterator[int]:
        for number in range(self._start, self._stop):
            os.pwrite(self._note, _ROUND.pack(number), 0)
            yield number

    def wrong(self, number: int, what: str) -> None:
        """Say that a round ended otherwise than it must."""
        print(json.dumps({"round": number, "wrong": what}), flush=True)


def run(module: str, rounds: int, *arguments: Any, memory: int = 0, seconds: float = 600) -> list[str]:
    """Run the rounds 0 to `rounds` of `module` in a child; what went wrong, deaths by a signal included.

    memory   bound of the child's address space in bytes; 0: none
    seconds  after which the child is ended, which is wrong too
    """
    found: list[str] = []
    start, deaths = 0, 0
    with tempfile.TemporaryFile() as note:
        while start < rounds and deaths < _MOST_DEATHS:
            note.seek(0)
            note.truncate()
            command = [sys.executable, "-m", module, start, rounds, note.fileno(), memory, *arguments]
            done = _child([str(part) for part in command], note.fileno(), seconds)
            found += [f"round {line['round']}: {line['wrong']}" for line in _lines(done.stdout)]
            if done.returncode == 0:
                break
            at = os.pread(note.fileno(), _ROUND.size, 0)
            number = _ROUND.unpack(at)[0] if at else start
            tail = done.stderr.strip().splitlines()[-12:]
            found.append(f"round {number}: ended with {done.returncode}: " + " | ".join(tail))
            start, deaths = number + 1, deaths + 1
    return found


def _child(command: Sequence[str], note: int, seconds: float) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
        "PYTHONFAULTHANDLER": "1",
    }
    return subprocess.run(
        command, cwd=ROOT, env=environment, pass_fds=[note], capture_output=True, text=True, timeout=seconds
    )


def _lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith('{"round"'):
            yield json.loads(line)
