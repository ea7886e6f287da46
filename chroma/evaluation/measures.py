"""Measures of a ranking against judgements. Pure functions of lists and mappings.

A judgement gives a record a grade. A record without one has the grade 0 and is not relevant. All measures
look at the first k records and lie between 0 and 1; 1 is the best.

Sources: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20(4), 2002,
for nDCG; Manning, Raghavan and Schütze, "Introduction to Information Retrieval", chapter 8, for the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Grades = Mapping[str, float]


def exponential(grade: float) -> float:
    """The gain 2^grade - 1, which is usual in web search."""
    return float(2.0**grade - 1)


def linear(grade: float) -> float:
    """The gain that equals the grade, as in trec_eval."""
    return float(grade)


GAINS: dict[str, Callable[[float], float]] = {"exponential": exponential, "linear": linear}


def ndcg(found: Sequence[str], grades: Grades, k: int, gain: Callable[[float], float]) -> float:
    """The discounted cumulated gain, divided by that of the best possible ranking."""
    best = sorted((gain(grade) for grade in grades.values() if grade > 0), reverse=True)
    gains = [gain(grades.get(id, 0)) if grades.get(id, 0) > 0 else 0.0 for id in found[:k]]
    return _discounted(gains) / _discounted(best[:k])


def _discounted(gains: Sequence[float]) -> float:
    return math.fsum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def reciprocal_rank(found: Sequence[str], grades: Grades, k: int) -> float:
    """1 / the rank of the first relevant record, 0 if there is none. Its mean is the MRR."""
    return next((1 / (rank + 1) for rank, id in enumerate(found[:k]) if grades.get(id, 0) > 0), 0.0)


def recall(found: Sequence[str], grades: Grades, k: int) -> float:
    """The share of the relevant records that are found."""
    return _hits(found, grades, k) / _relevant(grades)


def precision(found: Sequence[str], grades: Grades, k: int) -> float:
    """The share of the k places that relevant records have."""
    return _hits(found, grades, k) / k


def average_precision(found: Sequence[str], grades: Grades, k: int) -> float:
    """The mean of the precision at the rank of each relevant record. Its mean is the MAP."""
    hits, total = 0, 0.0
    for rank, id in enumerate(found[:k]):
        if grades.get(id, 0) > 0:
            hits += 1
            total += hits / (rank + 1)
    return total / _relevant(grades)


def _hits(found: Sequence[str], grades: Grades, k: int) -> int:
    return sum(grades.get(id, 0) > 0 for id in found[:k])


def _relevant(grades: Grades) -> int:
    return sum(grade > 0 for grade in grades.values())
