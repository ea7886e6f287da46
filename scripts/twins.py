"""Generates chroma/_sync and the sync backend protocol from their async versions.

    python scripts/twins.py            writes changed files
    python scripts/twins.py --check    changes nothing; status 1 if a file would change

The rules below define all differences between the two. A difference that no text replacement can express is
a primitive in chroma/internal/concurrency.py. An unused rule is an error, so that the list stays accurate.
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
    r"\ba(?=(close|read|read_all|iter_bytes)\()": "",  # methods of httpx and of streams
    r"\banext\(": "next(",
    r"\bAnyIOBackend\b": "SyncBackend",  # of httpcore
}

HEADER = "# Made from chroma/{source} by scripts/twins.py: change that file, and run `make fix`.\n"


def twin(text: str, used: Counter[str]) -> str:
    """Return the sync version of a text. Counts the uses of each rule."""
    for pattern, replacement in RULES.items():
        text, times = re.subn(pattern, replacement, text)
        used[pattern] += times
    return text


def pairs(root: Path) -> dict[str, str]:
    """Return the source of each generated file, as paths below chroma/."""
    clients = {f"_sync/{file.name}": f"_async/{file.name}" for file in sorted((root / "_async").glob("*.py"))}
    return clients | {"backend/protocol.py": "backend/async_protocol.py"}


def main(root: Path, check: bool) -> list[str]:
    """Write or check the files. Returns messages about written files or differences."""
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
