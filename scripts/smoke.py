"""smoke.py installed|checkout: imports the package and tests its main functions briefly."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

start = time.perf_counter()
import chroma  # noqa: E402  the time is taken on purpose

import_ms = (time.perf_counter() - start) * 1e3


def main(where: str) -> None:
    origin = Path(chroma.__file__).resolve()
    installed = "site-packages" in origin.parts
    assert installed == (where == "installed"), origin

    if installed:
        from chroma.storage.native import kernel

        assert kernel.compiled is not None, "the compiled part was not compiled"

    with tempfile.TemporaryDirectory() as folder:
        with chroma.PersistentClient(folder) as client:
            notes = client.create_collection("notes")
            notes.add(
                ids=["bread", "sort", "rome"],
                documents=["Baking sourdough bread", "Sorting a list of numbers", "The fall of Rome"],
                metadatas=[{"kind": "food"}, {"kind": "code"}, {"kind": "history"}],
            )
            assert notes.query(query_texts=["an algorithm"], n_results=1)["ids"] == [["sort"]]
        with chroma.PersistentClient(folder) as client:
            notes = client.get_collection("notes")
            assert notes.count() == 3
            assert notes.get(where={"kind": {"$ne": "food"}})["ids"] == ["sort", "rome"]
            assert notes.query(query_texts=["cooking"], n_results=2)["ids"][0][0] == "bread"
            assert notes.delete(ids=["rome"])["deleted"] == 1
            assert notes.count() == 2
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"{where}: ok on Python {version}, chroma {chroma.__version__}, import {import_ms:.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1])
