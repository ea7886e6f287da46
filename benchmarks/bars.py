"""What this project promises against its peers, as data, and whether the measurements keep it.

A bar is about ours divided by the peer's: at least `bar` where more is better, at most where less is.
"""

from __future__ import annotations

from dataclasses import dataclass

from results import Results, Spread

OURS = "chroma"


@dataclass(frozen=True)
class Bar:
    workload: str
    figure: str
    peer: str
    bar: float
    less_is_better: bool = False
    peer_figure: str | None = None  # where the peer's figure has another name

    def label(self) -> str:
        return f"{self.workload}: {self.figure}"

    def met(self, ratio: float) -> bool:
        return ratio <= self.bar if self.less_is_better else ratio >= self.bar


def _each(workload: str, figures: list[str], peer: str, bar: float, less: bool = False) -> list[Bar]:
    return [Bar(workload, figure, peer, bar, less) for figure in figures]


CORRELATED = "correlated"
FILTERS = ("50 %", "10 %", "1 %", "0.1 %", CORRELATED)
_NEW = [f"{name} new, queries/s" for name in FILTERS]
_REPEATED = [f"{name} repeated, queries/s" for name in FILTERS]

BARS: list[Bar] = [
    Bar("build", "until acknowledged, rows/s", "chromadb", 100),
    Bar("build", "until acknowledged, rows/s", "lancedb", 0.7),
    Bar("build", "until indexed, rows/s", "chromadb", 4),
    Bar("build", "until indexed, rows/s", "zvec", 2),
    Bar("build", "until indexed, rows/s", "qdrant_edge", 5),
    Bar("single", "one thread, rows/s", "sqlite_vec", 2),
    Bar("single", "16 threads, rows/s", OURS, 4, peer_figure="one thread, rows/s"),
    Bar("query", "one thread, queries/s", "chromadb", 5),
    Bar("query", "one thread, queries/s", "zvec", 1.7),
    Bar("query", "one thread, queries/s", "hnswlib", 1.3),
    Bar("query", "one thread, queries/s", "qdrant_edge", 2),
    Bar("query", "two threads, queries/s", "zvec", 2),
    Bar("query", "two threads, queries/s", "hnswlib", 1),
    Bar("query", "two threads, queries/s", OURS, 1.8, peer_figure="one thread, queries/s"),
    Bar("query", "500 in one call, queries/s", "chromadb", 2.5),
    *_each("filtered", _NEW, "zvec", 1),
    *_each("filtered", _REPEATED, "zvec", 1.5),
    *_each(
        "filtered",
        ["10 % new, queries/s", "10 % repeated, queries/s", "1 % repeated, queries/s"],
        "qdrant_edge",
        1.5,
    ),
    *_each("filtered", [name for name in _NEW + _REPEATED if CORRELATED in name], "qdrant_edge", 1.5),
    *_each(
        "document",
        [f"{name} word {form}, queries/s" for name in ("rare", "common") for form in ("repeated", "new")],
        "chromadb",
        10,
    ),
    *_each(
        "read",
        ["100 ids, calls/s", "where 10 % limit 100, calls/s", "where equal limit 10, calls/s"],
        "zvec",
        1.5,
    ),
    *_each("mutate", ["update, rows/s", "delete, rows/s"], "lancedb", 1.2),
    Bar("cold", "whole process, s", "zvec", 1, less_is_better=True),
    Bar("build", "disk, bytes/row", "zvec", 1, less_is_better=True),
    Bar("build", "peak memory, MB", "zvec", 1, less_is_better=True),
    Bar("query", "peak memory, MB", "zvec", 1.2, less_is_better=True),
    Bar("read", "to Arrow, rows/s", "lancedb", 5),
    Bar("read", "to pandas, rows/s", "lancedb", 3),
    Bar("background", "while building, p99 ms", OURS, 5, True, "quiet, p99 ms"),
]

SYNTHETIC_BARS: list[Bar] = [
    *_each("build", ["until acknowledged, rows/s", "until indexed, rows/s"], "zvec", 1),
    *_each("query", ["one thread, queries/s", "two threads, queries/s"], "zvec", 1),
    *_each("filtered", [*_NEW, *_REPEATED], "zvec", 1),
]


def bars_for(data: str) -> list[Bar]:
    return SYNTHETIC_BARS if data.startswith("synthetic") else BARS


@dataclass(frozen=True)
class Verdict:
    bar: Bar
    ours: Spread | None
    peer: Spread | None

    @property
    def ratio(self) -> float | None:
        if self.ours is None or self.peer is None or not self.peer.median:
            return None
        return self.ours.median / self.peer.median

    def text(self) -> str:
        """`met`, `MISSED by ...`, or what was not measured."""
        ratio = self.ratio
        if ratio is None:
            lacking = [
                name for name, value in ((OURS, self.ours), (self.bar.peer, self.peer)) if value is None
            ]
            return "not measured: " + ", ".join(dict.fromkeys(lacking))
        if self.bar.met(ratio):
            return "met"
        return f"MISSED by {abs(ratio / self.bar.bar - 1):.0%}"


def judge(results: Results, bars: list[Bar]) -> list[Verdict]:
    def number(system: str, workload: str, figure: str) -> Spread | None:
        found = results.figure(system, workload, figure)
        return found if isinstance(found, Spread) else None

    return [
        Verdict(
            bar,
            number(OURS, bar.workload, bar.figure),
            number(bar.peer, bar.workload, bar.peer_figure or bar.figure),
        )
        for bar in bars
    ]
