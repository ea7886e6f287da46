"""The console's files: hashes of what others wrote, sizes, nothing that a browser would run from a text."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "chroma" / "console" / "static"
OURS = [
    path
    for path in STATIC.rglob("*")
    if path.suffix in {".js", ".css", ".html"} and "vendor" not in path.parts
]
UNSAFE = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bstyle=|https?://"
)


def test_hashes_of_vendored_files() -> None:
    said = dict(
        re.findall(r"^\| `(\w+\.js)`.*`([0-9a-f]{64})` \|$", (STATIC / "vendor/README.md").read_text(), re.M)
    )
    assert said == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in STATIC.glob("vendor/*.js")
    }


def test_no_text_becomes_code_or_markup() -> None:
    found = {path.name: UNSAFE.findall(path.read_text("utf-8")) for path in OURS}
    assert not {name: each for name, each in found.items() if each}


def test_the_budget() -> None:
    served = [path for path in STATIC.rglob("*") if path.suffix in {".js", ".css", ".html"}]
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in served) < 250_000
