"""Records that are hard to keep as columns, and what says that two collections hold the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from ...support import strategies as given

DIMENSION = 3
# Names of columns, of arguments, of answers, and of what naming makes of clashes with these.
KEYS = [
    "id", "ids", "document", "documents", "uri", "embedding", "embeddings", "metadata", "metadatas", "rank",
    "query", "distance", "metadata.id", "metadata.x", "metadata[int].y", "metadata[list of str].y",
    "metadata[int].metadata.y", "metadata.", "metadata[nothing].y", "y", "Y", "a.b", "int:y", ":", "str:",
    "k (int)", "ключ", "🙂", "new\nline", " ", "k" * 600,
]  # fmt: skip

keys = st.sampled_from(KEYS)
metadatas = st.one_of(st.none(), st.dictionaries(keys, given.values, min_size=1, max_size=5))
documents = st.one_of(st.none(), st.just(""), given.texts)
uris = st.one_of(st.none(), st.text(max_size=6))


@st.composite
def records(draw: st.DrawFn, most: int = 8) -> dict[str, Any]:
    """The arguments of an `add`."""
    ids = draw(st.lists(given.ids, min_size=1, max_size=most, unique=True))

    def column(one: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(one, min_size=len(ids), max_size=len(ids)))

    return {
        "ids": ids,
        "embeddings": np.stack(column(given.any_float32(DIMENSION))),
        "documents": column(documents),
        "uris": column(uris),
        "metadatas": column(metadatas),
    }


def contents(collection: Any) -> list[Any]:
    """All that the records are: type by type, bit by bit."""
    got = collection.get(include=["documents", "metadatas", "uris", "embeddings"])
    vectors = got["embeddings"]
    return [
        (id, document, uri, _typed(metadata), vector.tobytes())
        for id, document, uri, metadata, vector in zip(
            got["ids"], got["documents"], got["uris"], got["metadatas"], vectors
        )
    ]


def _typed(metadata: Any) -> Any:
    """repr tells True from 1 from 1.0, and -0.0 from 0.0. The order of keys is not kept."""
    return None if metadata is None else sorted((key, repr(value)) for key, value in metadata.items())
