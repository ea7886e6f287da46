"""Side by side with chromadb: one process per workload and system, interleaved, medians, ratios.

    python benchmarks/compare.py --reference VENV/bin/python --data FILE.parquet [--repeats 3] [--out FILE.md]

VENV is a virtual environment with chromadb==1.5.9 and pyarrow. Without --data, a synthetic set is made.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
READS = ("query", "filtered", "read", "tables", "cold")


def _run(python: str, workload: str, task: dict[str, object]) -> dict[str, float]:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "PYTHONWARNINGS": "ignore"}
    command = [python, str(HERE / "workloads.py"), workload, json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3600)
    if done.returncode:
        raise SystemExit(f"{workload} {task}: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    print(workload, task["system"], {name: round(value, 3) for name, value in figures.items()}, flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--reference", help="the interpreter that has chromadb; left out: this project alone")
    parser.add_argument("--data", default="synthetic:20000:128")
    parser.add_argument("--dimension", type=int, default=384, help="of the data; for the cold start")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--workloads", default="ingest,query,filtered,read,tables,cold,single,overhead,delete"
    )
    parser.add_argument("--out", help="a markdown table")
    arguments = parser.parse_args()
    pythons = {"chroma": sys.executable}
    if arguments.reference:
        pythons["chromadb"] = arguments.reference
    wanted = arguments.workloads.split(",")
    results: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as work:

        def keep(workload: str, system: str, path: str) -> None:
            task = {"system": system, "path": path, "data": arguments.data, "dimension": arguments.dimension}
            for name, value in _run(pythons[system], workload, task).items():
                results.setdefault(f"{workload}: {name}", {}).setdefault(system, []).append(value)

        for repeat in range(arguments.repeats):
            for system in pythons:
                path = f"{work}/{system}"
                shutil.rmtree(path, ignore_errors=True)
                keep("ingest", system, path)
            for _ in range(1 if repeat else 2):
                for workload in [name for name in READS if name in wanted]:
                    for system in pythons:
                        keep(workload, system, f"{work}/{system}")
            if "overhead" in wanted:
                keep("overhead", "chroma", f"{work}/chroma")
            if "single" in wanted:
                for system in pythons:
                    keep("single", system, f"{work}/{system}")
        if "delete" in wanted:
            keep("delete", "chroma", f"{work}/chroma")
    table = _table(results, list(pythons))
    print(table)
    if arguments.out:
        machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
        Path(arguments.out).write_text(f"{machine}, data `{Path(arguments.data).name}`\n\n{table}")


def _table(results: dict[str, dict[str, list[float]]], names: list[str]) -> str:
    lines = [f"| figure (median) | {' | '.join(names)} | ratio |", "|---" * (len(names) + 2) + "|"]
    for figure, values in results.items():
        medians = [statistics.median(values[name]) if name in values else None for name in names]
        cells = [
            "" if value is None else f"{value:,.3f}" if value < 10 else f"{value:,.0f}" for value in medians
        ]
        ratio = ""
        first, last = medians[0], medians[-1]
        if len(names) > 1 and first and last and "recall" not in figure and not figure.endswith("ef"):
            ratio = f"{first / last:.2f} ×"
        lines.append(f"| {figure} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
