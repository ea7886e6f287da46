"""How scores sort the records of a query again."""

from __future__ import annotations

import time

from chroma.reranking.rerank import sorted_again
from chroma.storage.interface.values import Rows


def test_records_without_a_document_are_the_last() -> None:
    rows = Rows(["a", "b", "c", "d"], ["x", None, "y", None])
    found = sorted_again(rows, [1, 2], slice(0, 3))
    assert (found.rows, found.scores) == ([2, 0, 1], [2.0, 1.0, None])


def test_the_time_is_proportional_to_the_records() -> None:
    count = 30_000  # a search without a limit sorts all records again; in quadratic time this takes 20 s
    rows = Rows([str(number) for number in range(count)], ["x"] * count)
    began = time.process_time()
    assert len(sorted_again(rows, range(count), slice(None)).rows) == count
    assert time.process_time() - began < 2
