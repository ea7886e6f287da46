"""A new process up to its first answer."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import report

ROOT = Path(__file__).resolve().parents[2]
RUNS = 9
# Each line is a part; it must leave the process as the call would find it.
PARTS = {
    "import numpy": "import numpy",
    "orjson, xxhash": "import orjson, xxhash",
    "import chroma and its engine": "import chroma, chroma.embedded.backend",
    "open the folder": "client = chroma.PersistentClient(sys.argv[1])",
    "get the collection": "collection = client.get_collection(sys.argv[2], embedding_function=None)",
    "the first query": "found = collection.query(query_embeddings=[vector], n_results=10)",
    "close": "client.close()",
}
_CHILD = """
import json, sys, time
vector = json.loads(sys.argv[3])
sys.path.insert(0, sys.argv[4])
marks = [time.perf_counter()]
{}
print(json.dumps([b - a for a, b in zip(marks, marks[1:])]))
"""


def _program() -> str:
    lines = [f"{line}\nmarks.append(time.perf_counter())" for line in PARTS.values()]
    return _CHILD.format("\n".join(lines))


def _run(code: str, *arguments: str) -> tuple[float, str]:
    # As a program that is installed runs: compiled modules are there.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code, *arguments]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    spent = time.perf_counter() - start
    if done.returncode:
        raise AssertionError(f"a new process failed:\n{done.stderr}")
    return spent, done.stdout


def opening(folder: str, name: str, vector: Any, files: list[Path]) -> tuple[str, list[str]]:
    """The table; `files` are what the first query reads and checks."""
    arguments = (folder, name, json.dumps([float(number) for number in vector]), str(ROOT))
    code = _program()
    read = "import mmap, sys, xxhash\nimport time\nstart = time.perf_counter()\n"
    read += "for path in sys.argv[1:]:\n with open(path, 'rb') as file:\n"
    read += "  xxhash.xxh3_64_intdigest(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))\n"
    read += "print(time.perf_counter() - start)"
    taken: dict[str, list[float]] = {}
    _run(code, *arguments)
    for _ in range(RUNS):
        spent, printed = _run(code, *arguments)
        taken.setdefault("whole", []).append(spent)
        for part, seconds in zip(PARTS, json.loads(printed)):
            taken.setdefault(part, []).append(seconds)
        taken.setdefault("python", []).append(_run("pass")[0])
        taken.setdefault("numpy", []).append(_run("import numpy")[0])
        taken.setdefault("check", []).append(float(_run(read, *map(str, files))[1]))
    ms = {part: statistics.median(values) * 1e3 for part, values in taken.items()}
    floors = {
        "import numpy": (ms["numpy"] - ms["python"], "a process that only does that"),
        "the first query": (ms["check"], "map and xxh3 of the files of vectors and records"),
    }
    lines = [
        [
            "**a new process, to its end**",
            report.number(ms["whole"]),
            report.number(ms["numpy"]),
            "`import numpy`",
        ]
    ]
    lines.append(["Python itself", report.number(ms["python"]), report.number(ms["python"]), "`pass`"])
    for part in PARTS:
        floor, what = floors.get(part, (None, ""))
        lines.append([part, report.number(ms[part]), "" if floor is None else report.number(floor), what])
    rest = ms["whole"] - ms["python"] - sum(ms[part] for part in PARTS)
    lines.append(["the end of the process, and what lies between", report.number(rest), "", ""])
    return report.table(["part", "ms", "floor, ms", "the floor is"], lines), [f"medians of {RUNS} processes"]
