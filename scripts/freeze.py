"""Freezes the public behaviour, which internal changes must not affect, in tests/data/public/.

    python scripts/freeze.py             writes all files
    python scripts/freeze.py wire        writes the files of one part
    python scripts/freeze.py --check     changes nothing; prints differences and exits with status 1 if any
    python scripts/freeze.py --print PART

names   public names, signatures, commands, settings, environment variables
texts   reprs, including HTML; the bytes of pickles
wire    the client's requests, the server's responses, and the server's OpenAPI document
disk    the files of a database

A difference is either a mistake or a change of public behaviour. Write the files again only for a change of
public behaviour, and record it in CHANGELOG.md. Each part is created in a separate process and an empty
folder.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "tests" / "data" / "public"
PARTS = ("names", "texts", "wire", "disk")

# The bytes of each part depend on these packages, which write files, handle HTTP or name parameter types.
PINNED = {
    "names": (),
    "texts": ("numpy", "pyarrow"),
    "wire": ("fastapi", "httpx", "numpy", "orjson", "pyarrow", "starlette", "uvicorn"),
    "disk": ("hnswlib", "numpy", "orjson", "pyarrow"),
}


def unlike(part: str) -> str | None:
    """Return why a part cannot be compared here: another system, or versions not in requirements/ci.txt."""
    lines = (ROOT / "requirements" / "ci.txt").read_text("utf-8").splitlines()
    locked = dict(line.split("==") for line in lines if "==" in line)
    python = next(line for line in lines if line.startswith("# Python ")).removeprefix("# Python ")
    if not PINNED[part]:
        return None
    if sys.platform != "linux":  # builds for other systems use other compression libraries
        return f"{part} is frozen for Linux"
    if f"{sys.version_info[0]}.{sys.version_info[1]}" != python:
        return f"{part} is frozen for Python {python}"
    for name in PINNED[part]:
        if metadata.version(name) != locked[name]:
            return f"{part} is frozen for {name} {locked[name]}"
    return None


def made(part: str, hash_seed: str = "0") -> dict[str, str]:
    """Create the files of a part in a separate process. Returns contents by name."""
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("CHROMA_")}
    environment |= {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), "--print", part],
            capture_output=True,
            cwd=folder,
            env=environment,
        )
    if done.returncode:
        raise RuntimeError(f"{part} cannot be made:\n{done.stderr.decode('utf-8', 'replace')}")
    found = json.loads(done.stdout)
    return {f"{name}.json": json.dumps(found[name], indent=1, ensure_ascii=False) + "\n" for name in found}


def differences(part: str, hash_seed: str = "0") -> list[str]:
    """Return the difference from the frozen files as a unified diff."""
    lines: list[str] = []
    for name, text in made(part, hash_seed).items():
        file = TARGET / name
        frozen = file.read_text("utf-8") if file.exists() else ""
        lines += difflib.unified_diff(
            frozen.splitlines(), text.splitlines(), f"frozen/{name}", f"now/{name}", lineterm="", n=2
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--check", action="store_true", help="only compare")
    parser.add_argument("--print", choices=PARTS, help="print a part, made in this process")
    arguments = parser.parse_args()
    if arguments.print:
        sys.path.insert(0, str(ROOT))
        found = import_module(f"scripts.frozen.{arguments.print}").frozen()
        sys.stdout.buffer.write(json.dumps(found).encode())
        return 0
    told = 0
    for part in arguments.parts or PARTS:
        if reason := unlike(part):
            print(f"left out: {reason}")
        elif arguments.check:
            lines = differences(part)
            told += len(lines)
            print("\n".join(lines) or f"{part}: as frozen")
        else:
            TARGET.mkdir(parents=True, exist_ok=True)
            for name, text in made(part).items():
                (TARGET / name).write_text(text, "utf-8")
                print(f"wrote {(TARGET / name).relative_to(ROOT)}")
    return int(told > 0)


if __name__ == "__main__":
    sys.exit(main())
