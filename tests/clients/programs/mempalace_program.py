"""mempalace_program.py FOLDER HOST PORT: MemPalace's backend for Chroma, which works in a folder only."""

from __future__ import annotations

import sys
from typing import Any

from checks import answered_by_us, equal
from mempalace.backends.base import PalaceRef
from mempalace.backends.chroma import ChromaBackend

WORDS = {
    "1": "The cat sleeps on the sofa.",
    "2": "Stocks fell again today.",
    "3": "Bread needs flour and water.",
}


def opened(backend: ChromaBackend, folder: str, create: bool) -> Any:
    return backend.get_collection(
        palace=PalaceRef(id="palace", local_path=folder), collection_name="drawers", create=create
    )


def main(folder: str, host: str, port: str) -> None:
    answered_by_us()
    backend = ChromaBackend()
    drawers = opened(backend, folder, create=True)
    metadatas = [{"wing": "home", "n": 1}, {"wing": "work", "n": 2}, {"wing": "home", "n": 3}]
    drawers.add(ids=list(WORDS), documents=list(WORDS.values()), metadatas=metadatas)
    equal("count", drawers.count(), 3)
    found = drawers.query(query_texts=["a kitten"], n_results=1)
    equal("query", found.ids, [["1"]])
    found = drawers.query(
        query_texts=["a kitten"], n_results=2, where={"$and": [{"wing": "home"}, {"n": {"$gt": 1}}]}
    )
    equal("query(where)", found.ids, [["3"]])
    equal("get(where_document)", drawers.get(where_document={"$contains": "Stocks"}).ids, ["2"])
    drawers.upsert(ids=["2"], documents=["Shares rose."], metadatas=[{"wing": "work", "n": 4}])
    drawers.update(ids=["3"], metadatas=[{"n": 5}])
    equal("upsert and update", [m["n"] for m in drawers.get(ids=["2", "3"]).metadatas], [4, 5])
    drawers.delete(ids=["1"])
    backend.close()
    again = opened(ChromaBackend(), folder, create=False)
    equal("reopened", again.get().ids, ["2", "3"])
    again.delete(where={"wing": "home"})
    equal("delete(where)", again.count(), 1)
    print("the tour is complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
