"""praisonai_program.py FOLDER HOST PORT: PraisonAI's memory, which works in a folder only."""

from __future__ import annotations

import sys
from typing import Any

import praisonaiagents.embedding
from checks import answered_by_us, equal, letters
from praisonaiagents.memory.adapters.factories import create_chroma_memory_adapter


class Embedded:
    def __init__(self, text: str) -> None:
        self.embeddings = [letters(text)]


def texts(found: Any) -> list[str]:
    return [one["text"] for one in found]


def main(folder: str, host: str, port: str) -> None:
    answered_by_us()
    praisonaiagents.embedding.embedding = lambda text, **kwargs: Embedded(text)

    def memory() -> Any:
        return create_chroma_memory_adapter(rag_db_path=folder)

    made = memory()
    for n, text in enumerate(("aaa", "bbb")):
        made.store_long_term(text, {"n": n, "tags": ["x"]})
    (found,) = made.search_long_term("bb", limit=1)
    equal("search_long_term", (found["text"], found["metadata"]["n"], found["score"] > 0.9), ("bbb", 1, True))
    equal("reopened", sorted(texts(memory().get_all_memories())), ["aaa", "bbb"])
    made.reset_long_term()
    equal("reset_long_term", made.search_long_term("aaa"), [])
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
