"""Choose records that are near to a query and differ from each other.

Owns: maximal marginal relevance, from J. Carbonell and J. Goldstein, "The Use of MMR, Diversity-Based
Reranking for Reordering Documents and Producing Summaries", SIGIR 1998. Their formula chooses, one after the
other, the record with the largest

    lambda * similarity(record, query) - (1 - lambda) * largest similarity(record, a chosen one)

Here the similarity is the negative distance of the collection's space, and `diversity` is 1 - lambda.
"""

from __future__ import annotations

import numpy as np

from ..interface.values import Floats
from ..schema.record_columns import Ints
from ..vectors import distance
from ..vectors.distance import Space


def maximal_marginal_relevance(
    space: Space, vectors: Floats, distances: Floats, diversity: float, k: int
) -> Ints:
    """Return the indices of at most `k` records, in the order in which they are chosen.

    vectors    the records' vectors, from the nearest to the farthest
    distances  their distances from the query, ascending
    The first is the nearest. Among equals, the nearer one is chosen.
    """
    # beyond float32 a distance is infinite; such records are the last, but they are chosen, too
    most = float(np.finfo(np.float32).max)
    relevance = (diversity - 1) * np.minimum(np.nan_to_num(distances.astype(np.float64), nan=most), most)
    apart = np.full(len(vectors), np.inf)  # the distance to the nearest chosen record
    left = np.ones(len(vectors), np.bool_)
    chosen = np.zeros(min(k, len(vectors)), np.int64)
    for number in range(len(chosen)):
        if number:
            worth = np.where(left, relevance + diversity * apart, -np.inf)
            chosen[number] = worth.argmax()  # the first of several
        best = chosen[number]
        left[best] = False
        to_best = np.nan_to_num(distance.exact(space, vectors[best], vectors).astype(np.float64))
        np.minimum(apart, to_best, out=apart)
    return chosen
