"""Over loopback, side by side with the reference: its server and its client against ours.

    python benchmarks/serving.py --reference VENV/bin/python --data FILE.parquet [--repeats 3] [--out FILE]

VENV is a virtual environment with chromadb==1.5.9, pandas and pyarrow. Three pairs take turns:

    ours       our server, our client (Arrow)
    ours+ref   our server, the reference's client (JSON)
    reference  the reference's server, the reference's client

Without --reference only the first. `query raw` sends the same queries as prepared bytes over a socket, so
that it measures the server alone.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import data

HERE = Path(__file__).resolve().parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    python: str, ours: bool, folder: str, workers: int = 1
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server over a folder, and its address."""
    port = free_port()
    program = [python, "-m", "chroma"] if ours else [str(Path(python).parent / "chroma")]
    command = [*program, "run", "--path", folder, "--port", str(port)]
    if ours:
        command += ["--workers", str(workers)]
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "ANONYMIZED_TELEMETRY": "false"}
    with open(f"{folder}.log", "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/api/v2/heartbeat", timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"the server did not start: {Path(folder + '.log').read_text()[-2000:]}")
        yield url, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def work(python: str, workload: str, task: dict[str, Any]) -> dict[str, float]:
    """Figures of one workload in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parent), "PYTHONWARNINGS": "ignore"}
    command = [python, str(HERE / "serving_client.py"), workload, json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=3600)
    if done.returncode:
        raise SystemExit(f"{workload} {task}: {done.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--reference", help="the interpreter that has chromadb")
    parser.add_argument("--data", default="synthetic:20000:128")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement of queries")
    parser.add_argument("--workloads", default="embedded,ingest,whole,export,query")
    parser.add_argument("--out", help="a markdown table")
    arguments = parser.parse_args()
    wanted = arguments.workloads.split(",")
    pairs = {"ours": (sys.executable, True, sys.executable, "chroma")}
    if arguments.reference:
        pairs["ours+ref"] = (sys.executable, True, arguments.reference, "chromadb")
        pairs["reference"] = (arguments.reference, False, arguments.reference, "chromadb")
    rows = len(data.load(arguments.data)[0])
    results: dict[str, dict[str, list[float]]] = {}

    def keep(workload: str, name: str, python: str, **task: Any) -> None:
        figures = work(python, workload.split(" ")[0], {"data": arguments.data, "rows": rows, **task})
        for figure, value in figures.items():
            results.setdefault(f"{workload}: {figure}", {}).setdefault(name, []).append(value)
        print(workload, name, {key: round(value, 3) for key, value in figures.items()}, flush=True)

    with tempfile.TemporaryDirectory(prefix="serving-") as scratch:
        for repeat in range(arguments.repeats):
            if "embedded" in wanted:
                keep("embedded", "ours", sys.executable)
            for name, (server, ours, client, module) in pairs.items():
                if "whole" in wanted and name == "ours":
                    with serving(server, ours, f"{scratch}/whole-{repeat}") as (url, _):
                        keep("whole", name, client, url=url, client=module)
                folder = f"{scratch}/{name}"
                shutil.rmtree(folder, ignore_errors=True)
                with serving(server, ours, folder) as (url, _):
                    keep("ingest", name, client, url=url, client=module)
                    keep("settle", name, client, url=url, client=module)
            for name, (server, ours, client, module) in pairs.items():
                with serving(server, ours, f"{scratch}/{name}") as (url, _):
                    if "export" in wanted:
                        keep("export", name, client, url=url, client=module)
                    if "query" in wanted:
                        for clients in (1, 8):
                            for raw in (False, True):
                                keep(f"query {'raw ' * raw}{clients}", name, client, url=url, client=module,
                                     clients=clients, seconds=arguments.seconds, raw=raw)  # fmt: skip
                if "query" in wanted and name == "ours":
                    with serving(server, ours, f"{scratch}/{name}", workers=2) as (url, _):
                        keep("query 8 to 2 workers", name, client, url=url, client=module, clients=8,
                             seconds=arguments.seconds)  # fmt: skip
    text = table(results, [*pairs])
    print(text)
    if arguments.out:
        Path(arguments.out).write_text(text)


def table(results: dict[str, dict[str, list[float]]], names: list[str]) -> str:
    """Medians, and what ours is to the reference."""
    lines = [f"| figure (median) | {' | '.join(names)} | ours / reference |", "|---" * (len(names) + 2) + "|"]
    for figure, values in results.items():
        medians = {name: statistics.median(found) for name, found in values.items()}
        cells = [f"{medians[name]:,.3f}" if name in medians else "" for name in names]
        both = medians.get("ours"), medians.get("reference")
        ratio = f"{both[0] / both[1]:.2f} ×" if both[0] and both[1] and "recall" not in figure else ""
        lines.append(f"| {figure} | {' | '.join(cells)} | {ratio} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
