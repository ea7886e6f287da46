"""chroma.utils: batches and data frames."""

from __future__ import annotations

from typing import Any

import pytest

from chroma.utils.batch_utils import create_batches
from chroma.utils.results import get_result_to_df, query_result_to_dfs

from ..support.checks import fill


class SmallApi:
    def get_max_batch_size(self) -> int:
        return 2


def test_batches_are_cut_to_the_limit() -> None:
    batches = create_batches(
        SmallApi(), ids=["a", "b", "c"], metadatas=[{"n": 1}, {"n": 2}, {"n": 3}], documents=["x", "y", "z"]
    )
    assert [tuple(batch) for batch in batches] == [
        (["a", "b"], None, [{"n": 1}, {"n": 2}], ["x", "y"]),
        (["c"], None, [{"n": 3}], ["z"]),
    ]


def test_what_fits_is_one_batch(client: Any) -> None:
    [batch] = create_batches(client, ids=["a", "b"], embeddings=[[1, 2], [3, 4]])
    assert tuple(batch) == (["a", "b"], [[1, 2], [3, 4]], None, None)


def test_a_get_result_becomes_a_frame(collection: Any) -> None:
    pytest.importorskip("pandas")
    fill(collection, 2)
    frame = get_result_to_df(collection.get(include=["documents", "metadatas", "embeddings"]))
    assert frame.index.name == "id"
    assert list(frame.index) == ["r0", "r1"]
    assert set(frame.columns) == {"embedding", "document", "metadata"}
    assert frame.loc["r1", "document"] == "text 1"


def test_a_query_result_becomes_one_frame_per_query(collection: Any) -> None:
    pytest.importorskip("pandas")
    fill(collection, 3)
    frames = query_result_to_dfs(collection.query(query_embeddings=[[0, 0], [2, 0]], n_results=2))
    assert [list(frame.index) for frame in frames] == [["r0", "r1"], ["r2", "r1"]]
    assert set(frames[0].columns) == {"document", "metadata", "distance"}
    assert frames[0].loc["r1", "distance"] == 1.0
