"""Where each system runs: ours and bare hnswlib here, every peer in a virtual environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import data

PEERS = Path(__file__).resolve().parent / "peers"  # NAME.txt: what the environment of NAME has
HERE = ("chroma", "hnswlib")
ADAPTERS = Path(__file__).resolve().parent / "systems"
# hybrid.py alone measures systems without an adapter
ADAPTED = [each.stem for each in PEERS.glob("*.txt") if (ADAPTERS / f"{each.stem}.py").exists()]
SYSTEMS = (*HERE, *sorted(ADAPTED))
ALIASES = {"chromadb": "chroma", "lancedb": "lance", "sqlite_vec": "sqlitevec"}
# A library that takes one of these gets as many threads as there are cores, whatever it would choose.
THREAD_SETTINGS = (
    "DUCKDB_THREADS",
    "LANCE_CPU_THREADS",
    "LANCE_IO_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TOKIO_WORKER_THREADS",
)


class Missing(Exception):
    """The environment of a system could not be made; the text says why."""


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def interpreter(system: str, ready: Path | None) -> str:
    """The Python of a system. `ready`: a folder with environments called NAME or v-NAME; else make one."""
    if system in HERE:
        return sys.executable
    if ready is not None:
        for name in (system, ALIASES.get(system, system)):
            for folder in (ready / name, ready / f"v-{name}"):
                if (folder / "bin" / "python").exists():
                    return str(folder.absolute() / "bin" / "python")
        raise Missing(f"no environment for {system} in the folder of --envs")
    return _made(system)


def _made(system: str) -> str:
    """The environment below .bench/envs, made anew when its requirements have changed."""
    wanted = (PEERS / f"{system}.txt").read_text()
    folder = data.HOME / "envs" / system
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    print(f"making the environment of {system} ...", flush=True)
    venv.create(folder, with_pip=True, clear=True)
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "-q", "-r"]
    done = subprocess.run([*command, str(PEERS / f"{system}.txt")], capture_output=True, text=True)
    if done.returncode:
        raise Missing(
            f"pip could not install {system}: {(done.stderr.strip().splitlines() or ['?'])[-1][:300]}"
        )
    stamp.write_text(wanted)
    return str(python)


def versions(python: str) -> dict[str, str]:
    """Versions of Python and of the packages that matter, of one environment."""
    names = [
        "chroma-arrow",
        "chromadb",
        "duckdb",
        "hnswlib",
        "lancedb",
        "numpy",
        "pandas",
        "pyarrow",
        "sqlite-vec",
        "zvec",
    ]
    code = (
        "import json, sys\nfrom importlib.metadata import PackageNotFoundError, version\n"
        "found = {'python': sys.version.split()[0]}\n"
        f"for name in {names}:\n"
        "    try:\n        found[name] = version(name)\n    except PackageNotFoundError:\n        pass\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def variables(system: str) -> dict[str, str]:
    """The environment variables of a worker."""
    threads = {name: str(cores()) for name in THREAD_SETTINGS}
    given = {**os.environ, **threads, "PYTHONWARNINGS": "ignore"}
    given.pop("PYTHONPATH", None)
    given.pop("PYTHONDONTWRITEBYTECODE", None)  # of peers the installer has compiled every module
    if system == "chroma":
        given["PYTHONPATH"] = str(PEERS.parents[1])  # the tree that these benchmarks are in
    return given
