"""Ways to damage a file, and a process that looks at what a damaged database answers.

`python -m tests.crash.damage SAMPLE SCRATCH` reads cases as JSON lines and says one line per case.
The case it is working on is the first one without a line: if the process dies, that one killed it.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import chroma
from chroma.errors import ChromaError

from .worker import say

HANG = 60


def cases(folder: Path) -> Iterator[tuple[str, str, int]]:
    """(file, way, number) for every file: bytes flipped, cut short, emptied, deleted."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name, size = str(path.relative_to(folder)), path.stat().st_size
        used = len(path.read_bytes().rstrip(b"\x00"))
        if size:
            places = {0, 5, 17, used // 3, used // 2, used - 9, used - 1, size - 1}
            yield from ((name, "flip", place) for place in sorted(places) if 0 <= place < size)
            cuts = {1, used // 2, used - 1, size - 1}
            yield from ((name, "cut", cut) for cut in sorted(cuts) if 0 < cut < size)
            yield name, "empty", 0
        yield name, "delete", 0


def damage(folder: Path, file: str, way: str, number: int) -> None:
    path = folder / file
    if way == "delete":
        path.unlink()
        return
    content = bytearray(path.read_bytes())
    if way == "flip":
        content[number] ^= 0x55
    else:
        del content[number:]
    path.write_bytes(content)


def digest(*parts: Any) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def answers(collection: Any) -> list[str]:
    """One digest per probe; those of exact and quick search agree when the index is right."""
    got = collection.get(include=["embeddings", "metadatas", "documents"])
    ids = got["ids"]
    vectors = np.asarray(got["embeddings"], np.float32)
    whole = digest(ids, got["documents"], [sorted(m.items()) for m in got["metadatas"]], vectors.tobytes())
    probes = [whole, str(collection.count())]
    probes += [digest(collection.get(where=where)["ids"]) for where in ({"n": 7}, {"s": {"$ne": "3"}})]
    probes += [str(collection.count(where={"n": {"$gte": 40}}, where_document={"$contains": "9"}))]
    for exact in (True, False) if len(ids) else ():
        found = collection.query(query_embeddings=vectors[::101], n_results=1, exact=exact)
        probes.append(digest(found["ids"], found["distances"], found["metadatas"]))
    return probes


def look(folder: Path) -> dict[str, Any]:
    """What every collection answers, or its error; `open` where the database does not open."""
    seen: dict[str, Any] = {}
    try:
        with chroma.PersistentClient(folder) as client:
            for name in [c.name for c in client.list_collections()]:
                try:
                    seen[name] = answers(client.get_collection(name))
                except ChromaError as error:
                    seen[name] = {"error": type(error).__name__, "message": str(error)}
    except ChromaError as error:
        seen["open"] = {"error": type(error).__name__, "message": str(error)}
    return seen


def repaired(folder: Path) -> dict[str, Any]:
    """What a check says before, during and after a repair, and what is answered then."""
    from chroma.embedded.backend import check_folder

    reports = [check_folder(folder, repair=repair) for repair in (False, True, False)]
    return {
        "ok": [report.ok for report in reports],
        "findings": [
            [[str(f.path), f.severity, f.message] for f in report.findings if f.severity != "ok"]
            for report in reports
        ],
        "seen": look(folder),
    }


def main(sample: str, scratch: str, what: str) -> None:
    for line in sys.stdin:
        folder = Path(scratch)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sample, folder)
        damage(folder, *json.loads(line))
        faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            say({"look": look, "repair": repaired}[what](folder))
        except Exception as error:
            say({"bug": f"{type(error).__name__}: {error}"})
        faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main(*sys.argv[1:])
