"""Writes chroma/_sync and the protocol of backends for threads, from the ones for event loops.

    python scripts/twins.py            writes what has changed
    python scripts/twins.py --check    changes nothing; status 1 if something would

The rules below are all that differs between the two. What words cannot express is a primitive in
chroma/internal/concurrency.py. A rule that no file needs is an error, so that the list stays true.
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

HEADER = "# Made from chroma/{source} by scripts/twins.py: change that file, and run `make fix`.\n"


def twin(text: str, used: Counter[str]) -> str:
    """The text of the other form; counts each rule's uses."""
    for pattern, replacement in RULES.items():
        text, times = re.subn(pattern, replacement, text)
        used[pattern] += times
    return text


def pairs(root: Path) -> dict[str, str]:
    """Each twin and what it is made from, as paths below chroma/."""
    clients = {f"_sync/{file.name}": f"_async/{file.name}" for file in sorted((root / "_async").glob("*.py"))}
    return clients | {"backend/protocol.py": "backend/async_protocol.py"}


def main(root: Path, check: bool) -> list[str]:
    """What is wrong, or was written."""
    used: Counter[str] = Counter()
    wanted = {
        target: HEADER.format(source=source) + twin((root / source).read_text("utf-8"), used)
        for target, source in pairs(root).items()
    }
    told = [f"the rule {pattern!r} is not used: remove it" for pattern in RULES if not used[pattern]]
    present = {f"_sync/{file.name}" for file in (root / "_sync").glob("*.py")}
    for name in sorted(wanted.keys() | present):
        file = root / name
        if name in wanted and file.exists() and file.read_text("utf-8") == wanted[name]:
            continue
        source = name.replace("_sync/", "_async/").replace("/protocol", "/async_protocol")
        told.append(f"chroma/{name} is not the twin of chroma/{source}: run scripts/twins.py")
        if check:
            continue
        if name in wanted:
            file.parent.mkdir(exist_ok=True)
            file.write_text(wanted[name], "utf-8")
        else:
            file.unlink()
        told[-1] = f"wrote chroma/{name}" if name in wanted else f"removed chroma/{name}"
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare")
    arguments = parser.parse_args()
    lines = main(ROOT, arguments.check)
    print("\n".join(lines) or "nothing to do")
    sys.exit(any(not line.startswith(("wrote", "removed")) for line in lines))
