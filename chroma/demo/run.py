"""The demo: indexes real texts, queries them, and queries them again in another process.

Uses only the public API, so that it also serves as an example.
"""

# ruff: noqa: T201 - what it prints is what it is for

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import chroma

from ..embedding import DefaultEmbeddingFunction
from ..internal.progress import bar, hidden

if TYPE_CHECKING:
    from .. import Collection

DEFAULT_FOLDER = ".chroma-demo"
DEFAULT_LIMIT = 3_000
COLLECTION = "python-docs"
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    where: dict[str, Any] | None = None
    where_document: dict[str, Any] | None = None

    def filters(self) -> str:
        parts = [
            f"{name}={given}"
            for name, given in (("where", self.where), ("where_document", self.where_document))
            if given is not None
        ]
        return ", ".join(parts) or "no filter"


QUESTIONS = (
    Question("How do I remove the common indentation from a block of text?"),
    Question("run a function in parallel in several processes"),
    Question("read and write compressed files", where={"kind": "class"}),
    Question(
        "find the most common elements",
        where={"$and": [{"has_example": True}, {"kind": {"$in": ["class", "method"]}}]},
    ),
    Question(
        "wait until something has happened or a time has passed",
        where={"$and": [{"package": "asyncio"}, {"n_args": {"$gte": 2}}]},
    ),
    Question("build a safe path for a file", where_document={"$contains": "deprecated"}),
)


def run(folder: str, limit: int) -> None:
    """Index texts into `folder`, query them, and query them again in a second process."""
    index(folder, limit)
    print("\nThe same process asks:")
    ask(folder)
    print("\nA second process opens the folder and asks:", flush=True)
    subprocess.run([sys.executable, "-m", "chroma", "demo", "--ask-only", "--folder", folder], check=True)
    print(f"\nThe database stays in {folder}; look at it with: {_command()} info {shlex.quote(folder)}")


def _command() -> str:
    """The command line as this Python has it: the command is not on the path of `make demo`."""
    found = shutil.which("chroma-arrow")
    if found is not None and os.path.dirname(found) == os.path.dirname(sys.executable):
        return "chroma-arrow"
    program = os.path.relpath(sys.executable)
    return f"{shlex.quote(sys.executable if program.startswith(os.pardir) else program)} -m chroma"


def index(folder: str, limit: int) -> None:
    """Create the collection again from the standard library's docstrings."""
    from .corpus import collect  # imported here, because `ask` in the second process does not need it

    start = time.perf_counter()
    entries = collect(limit)
    if not entries:
        raise SystemExit("This Python comes without the sources of its standard library: nothing to index.")
    print(f"Read {len(entries):,} docstrings of the standard library in {time.perf_counter() - start:.1f} s.")

    with chroma.PersistentClient(folder) as client:
        if COLLECTION in [existing.name for existing in client.list_collections()]:
            client.delete_collection(COLLECTION)
        collection = client.create_collection(COLLECTION, metadata={"python": sys.version.split()[0]})
        start = time.perf_counter()
        DefaultEmbeddingFunction()(["load the model"])
        print(f"Loaded the default embedding model in {time.perf_counter() - start:.1f} s.")

        start = time.perf_counter()
        shown_bar = bar(None, "indexing", total=len(entries), unit=" texts")
        with hidden(), contextlib.nullcontext() if shown_bar is None else shown_bar:
            for first in range(0, len(entries), _BATCH):
                batch = entries[first : first + _BATCH]
                collection.add(
                    ids=[entry.id for entry in batch],
                    documents=[entry.document for entry in batch],
                    metadatas=[entry.metadata for entry in batch],
                )
                if shown_bar is not None:
                    shown_bar.update(len(batch))
        elapsed = time.perf_counter() - start
        print(
            f"Embedded and stored {collection.count():,} texts in {elapsed:.1f} s "
            f"({len(entries) / elapsed:,.0f} texts/s, nearly all of it the model)."
        )


def ask(folder: str) -> None:
    """Open `folder` and print the results for all questions, with timings."""
    start = time.perf_counter()
    with chroma.PersistentClient(folder) as client:
        collection = client.get_collection(COLLECTION)
        count = collection.count()
        print(f"Opened {count:,} records in {(time.perf_counter() - start) * 1e3:.0f} ms.")
        DefaultEmbeddingFunction()(["load the model"])  # before the first question is timed
        for question in QUESTIONS:
            _answer(collection, question)


def _answer(collection: Collection, question: Question) -> None:
    start = time.perf_counter()
    vectors = DefaultEmbeddingFunction()([question.text])
    embedded = time.perf_counter()
    found = collection.query(
        query_embeddings=vectors,
        n_results=3,
        where=question.where,
        where_document=question.where_document,
    )
    done = time.perf_counter()
    width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 140))
    times = f"embed {(embedded - start) * 1e3:.1f} ms, search {(done - embedded) * 1e3:.1f} ms"
    print(f"\n{question.text}")
    print(textwrap.indent(textwrap.fill(f"{question.filters()} | {times}", width - 2), "  "))
    names = found["ids"][0]
    documents, distances = found["documents"], found["distances"]
    assert documents is not None and distances is not None  # `query` includes both by default
    first = min(max((len(name) for name in names), default=0), width // 2)
    for name, text, distance in zip(names, documents[0], distances[0], strict=True):
        summary = (text or "").split(": ", 1)[-1]
        room = width - first - 12
        print(f"  {distance:6.3f}  {_cut(name, first):<{first}}  {_cut(summary, room)}")
    if not names:
        print("  (no record matches the filter)")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 3, 1)] + "..."
