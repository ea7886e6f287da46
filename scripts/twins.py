"""Writes chroma/_sync, the client for threads, from chroma/_async, the one for event loops.

    python scripts/twins.py            writes what has changed
    python scripts/twins.py --check    changes nothing; status 1 if something would

The rules below are all that differs between the two. What words cannot express is a primitive in
chroma/concurrency.py. A rule that no file needs is an error, so that the list stays true.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "chroma"

RULES = {
    r"\basync (?=def |with |for )": "",
    r"\bawait ": "",
    r"Async(?=[A-Z])": "",  # AsyncClient, httpx.AsyncClient, AsyncIterator
    r"\basync_(?=[a-z])": "",  # the primitives, and chroma.api.async_client
    r"\basynccontextmanager\b": "contextmanager",
    r"\b__a(?=enter__|exit__|iter__)": "__",
    r"\ba(?=(close|read|read_all|iter_bytes)\()": "",  # of httpx, and of streams
    r"\banext\(": "next(",
}

HEADER = "# Made from chroma/_async/{name} by scripts/twins.py: change that file, and run `make fix`.\n"


def twin(text: str, used: Counter[str]) -> str:
    """The text of the other form; counts each rule's uses."""
    for pattern, replacement in RULES.items():
        text, times = re.subn(pattern, replacement, text)
        used[pattern] += times
    return text


def twins(source: Path, rules_used: Counter[str]) -> dict[str, str]:
    """File names to texts. `__init__.py` says the same in both forms."""
    return {
        file.name: HEADER.format(name=file.name) + twin(file.read_text("utf-8"), rules_used)
        for file in sorted(source.glob("*.py"))
    }


def main(root: Path, check: bool) -> list[str]:
    """What is wrong, or was written."""
    used: Counter[str] = Counter()
    wanted = twins(root / "_async", used)
    told = [f"the rule {pattern!r} is not used: remove it" for pattern in RULES if not used[pattern]]
    target = root / "_sync"
    present = {file.name: file.read_text("utf-8") for file in target.glob("*.py")}
    for name in sorted(wanted.keys() | present.keys()):
        if present.get(name) == wanted.get(name):
            continue
        told.append(f"chroma/_sync/{name} is not the twin of chroma/_async/{name}: run scripts/twins.py")
        if check:
            continue
        if name in wanted:
            target.mkdir(exist_ok=True)
            (target / name).write_text(wanted[name], "utf-8")
        else:
            (target / name).unlink()
        told[-1] = f"wrote chroma/_sync/{name}" if name in wanted else f"removed chroma/_sync/{name}"
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    arguments = parser.parse_args()
    lines = main(ROOT, arguments.check)
    print("\n".join(lines) or "nothing to do")
    sys.exit(any(not line.startswith(("wrote", "removed")) for line in lines))
