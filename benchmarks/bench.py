"""Side by side with other embedded vector databases: recall, speed, memory, disk. See README.md here.

python benchmarks/bench.py [--data SOURCE] [--systems NAMES] [--workloads NAMES] [--repeats N]
python benchmarks/bench.py --smoke         results only, this project and bare hnswlib; under a minute
python benchmarks/bench.py report          render the results again
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import bars
import data
import environments
import report
from environments import Missing
from results import Results

WORKER = Path(__file__).resolve().parent / "worker.py"
PREPARE = WORKER.with_name("prepare.py")
# In this order, for `query` finds the effort that the others start from. True: works on a copy.
WORKLOADS = {
    "build": False,
    "query": False,
    "filtered": False,
    "document": False,
    "read": False,
    "cold": False,
    "single": True,
    "mutate": True,
    "background": True,
    "correct": True,
}
OPTIONAL = ("correct",)  # compares everything with numpy: for small data
ONLY = {
    "background": ("chroma",),
    "document": ("chroma", "chromadb", "lancedb", "sqlite_vec", "zvec"),
    "read": ("chroma", "chromadb", "lancedb", "sqlite_vec", "zvec"),
    "mutate": ("chroma", "chromadb", "lancedb", "sqlite_vec", "zvec"),
    "correct": ("chroma", "chromadb", "lancedb", "sqlite_vec", "zvec"),
}
SMOKE_DATA = "synthetic:3000:32"
SMOKE_SECONDS = 0.05
TIMEOUT_SECONDS = 4 * 3600


class Bench:
    """One data set, some systems: prepares, runs workers one after the other, keeps what they say."""

    def __init__(self, source: str, work: Path, results: Results, seconds: float, ready: Path | None) -> None:
        self.source = source
        # what the results call the data: a file by its name, wherever it lies
        self.data = Path(source).name if source.endswith(".parquet") else source
        self.folder = work / re.sub(r"\W+", "-", self.data)
        self.results, self.seconds, self.ready = results, seconds, ready
        self.pythons: dict[str, str] = {}

    def prepare(self, systems: list[str]) -> None:
        for system in systems:
            try:
                self.pythons[system] = environments.interpreter(system, self.ready)
                self.results.versions[system] = environments.versions(self.pythons[system])
                self.results.found(self.data, system)
            except (Missing, OSError, subprocess.SubprocessError) as error:
                self._keep(system, "environment", {"missing": str(error)})
        self.results.machine = machine()
        subprocess.run([sys.executable, str(PREPARE), self.source, str(self.folder / "data")], check=True)
        plan = json.loads((self.folder / "data" / "plan.json").read_text())
        self.dimension = plan["dimension"]

    def run(self, workloads: list[str], repeats: int) -> None:
        """Every system in each workload of each repeat, so that a noisy minute hits all of them; each time
        another one begins, for who comes behind a heavy process is slower (a new process by a fifth)."""
        systems = list(self.pythons)
        for repeat in range(repeats):
            first = repeat % len(systems)
            for workload in [name for name in WORKLOADS if name in workloads]:
                for system in systems[first:] + systems[:first]:
                    if system in ONLY.get(workload, (system,)):
                        self.measure(system, workload)

    def measure(self, system: str, workload: str) -> None:
        base = self.folder / system
        if workload == "build" or not (base / "built").exists():
            shutil.rmtree(base, ignore_errors=True)
            base.mkdir(parents=True)
            if not self._work(system, "build", base / "db"):
                return
            (base / "built").touch()
            if workload == "build":
                return
        if not WORKLOADS[workload]:
            self._work(system, workload, base / "db")
            return
        copy = self.folder / f"{system}-copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(base / "db", copy / "db")
        try:
            self._work(system, workload, copy / "db")
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _work(self, system: str, workload: str, path: Path) -> bool:
        task = {
            "path": str(path),
            "data": str(self.folder / "data"),
            "dimension": self.dimension,
            "seconds": self.seconds,
            "knob": self.results.of(self.data).knob(system),
        }
        command = [self.pythons[system], str(WORKER), system, workload, json.dumps(task)]
        start = time.perf_counter()
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                env=environments.variables(system),
                cwd=self.folder,
                timeout=TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired:
            self._keep(system, workload, {"failed": f"took over {TIMEOUT_SECONDS} s"})
            return False
        seconds = time.perf_counter() - start
        if done.returncode or not done.stdout.strip():
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            self._keep(system, workload, {"failed": lines[-1][:300]})
            return False
        found = json.loads(done.stdout.strip().splitlines()[-1])
        if workload == "cold":
            found["figures"] = {"whole process, s": seconds, **found["figures"]}
        self._keep(system, workload, found)
        return True

    def _keep(self, system: str, workload: str, found: dict[str, Any]) -> None:
        now = datetime.datetime.now().isoformat(timespec="seconds")
        run = {"data": self.data, "system": system, "workload": workload, "date": now, **found}
        self.results.add(run)
        shown = found.get("figures", found)
        line = {
            name: float(f"{value:.4g}") if isinstance(value, float) else value
            for name, value in shown.items()
            if name != "curve"
        }
        wrong = [name for name, held in found.get("checks", {}).items() if not held]
        print(f"{now[11:]} {system} {workload} {line}", f"NOT TRUE: {wrong}" if wrong else "", flush=True)


def machine() -> dict[str, Any]:
    """What the figures depend on, without names."""

    def field(file: str, name: str) -> str:
        try:
            lines = Path(file).read_text().splitlines()
        except OSError:
            return ""
        return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")

    memory = field("/proc/meminfo", "MemTotal").split()
    return {
        "cores": environments.cores(),
        "processor": field("/proc/cpuinfo", "model name") or platform.machine(),
        "memory_gb": round(int(memory[0]) / 2**20) if memory else None,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }


def smoke() -> int:
    """Right results and enough recall, at no particular speed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        results = Results()
        bench = Bench(SMOKE_DATA, Path(folder), results, SMOKE_SECONDS, None)
        bench.prepare(list(environments.HERE))
        bench.run(list(WORKLOADS), 1)
    checks = [held for run in results.runs for held in run.get("checks", {}).values()]
    failures = results.failures()
    for line in failures:
        print(line)
    passed = sum(checks)
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures or not passed else 0


def show(results: Results, page: Path | None, only: str | None) -> None:
    """Print what was measured; write it into a page, and plots beside that."""
    for name in results.data_sets():
        if only in (None, name):
            if page is None:
                print(report.section(results, name))
            else:
                figures = page.parent / "figures"
                report.write(page, name, report.section(results, name, figures, "figures"))
                print(report.bars_table(bars.judge(results.of(name), bars.bars_for(name))))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=("run", "report"), default="run")
    parser.add_argument("--smoke", action="store_true", help="check results, measure nothing")
    parser.add_argument("--data", default="docstrings", help="docstrings, synthetic:ROWS:DIM or FILE.parquet")
    parser.add_argument("--systems", default=",".join(environments.SYSTEMS))
    parser.add_argument("--workloads", default=",".join(name for name in WORKLOADS if name not in OPTIONAL))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a timed loop")
    parser.add_argument("--envs", type=Path, help="ready environments: folders NAME or v-NAME")
    parser.add_argument("--work", type=Path, default=data.HOME / "work")
    parser.add_argument("--results", type=Path, default=data.HOME / "results.json")
    parser.add_argument("--write", type=Path, help="a markdown page; the report goes between its markers")
    given = parser.parse_args()
    if given.smoke:
        return smoke()
    results = Results.read(given.results)
    if given.command == "report":
        show(results, given.write, None)
        return 0
    systems, workloads = given.systems.split(","), given.workloads.split(",")
    for name, known in [*((s, environments.SYSTEMS) for s in systems), *((w, WORKLOADS) for w in workloads)]:
        if name not in known:
            parser.error(f"{name!r} is none of {', '.join(known)}")
    source = str(Path(given.data).absolute()) if given.data.endswith(".parquet") else given.data
    bench = Bench(source, given.work.absolute(), results, given.seconds, given.envs)
    bench.prepare(systems)
    bench.run(workloads, given.repeats)
    show(results, given.write, bench.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
