"""Figures as SVG: bars per workload over the systems, on a logarithmic scale; recall against speed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from results import Results, Spread

# workload: the figures of its plot, all of one unit, and that unit
GROUPS: dict[str, tuple[tuple[str, ...], str]] = {
    "build": (("until acknowledged, rows/s", "until indexed, rows/s"), "rows/s"),
    "single": (("one thread, rows/s", "16 threads, rows/s"), "rows/s"),
    "query": (("one thread, queries/s", "two threads, queries/s", "500 in one call, queries/s"), "queries/s"),
    "filtered": (
        tuple(
            f"{name} {form}, queries/s"
            for name in ("50 %", "10 %", "1 %", "0.1 %", "correlated")
            for form in ("repeated", "new")
        ),
        "queries/s",
    ),
    "document": (
        tuple(
            f"{name} word {form}, queries/s" for name in ("rare", "common") for form in ("repeated", "new")
        ),
        "queries/s",
    ),
    "read": (
        ("100 ids, calls/s", "where 10 % limit 100, calls/s", "where equal limit 10, calls/s"),
        "calls/s",
    ),
    "mutate": (("update, rows/s", "delete, rows/s"), "rows/s"),
    "cold": (("whole process, s",), "seconds"),
}
COLOURS = {
    "chroma": "#d1495b",
    "chromadb": "#8a6bbe",
    "hnswlib": "#9a9a9a",
    "lancedb": "#3a86c8",
    "sqlite_vec": "#e3a23c",
    "zvec": "#3c9d6b",
}


def draw(results: Results, folder: Path, prefix: str) -> dict[str, list[str]]:
    """Write what there is data for; the names of the files per workload."""
    folder.mkdir(parents=True, exist_ok=True)
    charts = {
        **{(workload, workload): _bars(results, workload) for workload in GROUPS},
        ("query", "recall"): _curves(results),
    }
    drawn: dict[str, list[str]] = {}
    for (workload, name), chart in charts.items():
        if chart is not None:
            file = f"{prefix}-{name}.svg"
            chart.save(str(folder / file))
            drawn.setdefault(workload, []).append(file)
    return drawn


def _colour(systems: list[str]) -> Any:
    import altair

    scale = altair.Scale(domain=systems, range=[COLOURS.get(system, "#555555") for system in systems])
    return altair.Color("system:N", scale=scale, title=None, sort=systems)


def _bars(results: Results, workload: str) -> Any:
    import altair

    figures, unit = GROUPS[workload]
    points = []
    for figure in figures:
        for system in results.systems():
            found = results.figure(system, workload, figure)
            if isinstance(found, Spread) and found.median > 0:
                label = figure.rpartition(", ")[0]
                points.append({"figure": label, "system": system, "value": found.median})
    if not points:
        return None
    systems = [name for name in results.systems() if any(point["system"] == name for point in points)]
    start = 10.0 ** math.floor(math.log10(min(point["value"] for point in points)) - 0.01)
    for point in points:
        point["start"] = start  # a logarithmic axis has no zero
    return (
        altair.Chart(altair.Data(values=points))
        .mark_bar()
        .encode(
            x=altair.X("value:Q", scale=altair.Scale(type="log", domainMin=start), title=f"{unit} (log)"),
            x2="start:Q",
            y=altair.Y("figure:N", sort=None, title=None),
            yOffset=altair.YOffset("system:N", sort=systems),
            color=_colour(systems),
        )
        .properties(width=520, height=altair.Step(9))
    )


def _curves(results: Results) -> Any:
    import altair

    points = [
        {"system": system, "ef": knob, "recall": reached, "rate": rate}
        for system in results.systems()
        for knob, reached, rate in results.curve(system)
    ]
    if not points:
        return None
    systems = [name for name in results.systems() if any(point["system"] == name for point in points)]
    return (
        altair.Chart(altair.Data(values=points))
        .mark_line(point=True)
        .encode(
            x=altair.X("recall:Q", scale=altair.Scale(zero=False), title="recall@10"),
            y=altair.Y("rate:Q", scale=altair.Scale(type="log"), title="queries/s, one thread (log)"),
            order="ef:Q",
            color=_colour(systems),
        )
        .properties(width=520, height=320)
    )


def shapes(points: list[tuple[str, int, dict[str, float]]], folder: Path, name: str) -> str:
    """Cost over what varies, a small chart per group, both axes logarithmic; the name of the file."""
    import altair

    folder.mkdir(parents=True, exist_ok=True)
    values = [
        {"group": group, "value": max(value, 1), "figure": figure, "cost": cost}
        for group, value, figures in points
        for figure, cost in figures.items()
        if cost > 0 and "p99" not in figure
    ]
    chart = (
        altair.Chart(altair.Data(values=values))
        .mark_line(point=True)
        .encode(
            x=altair.X("value:Q", scale=altair.Scale(type="log"), title=None),
            y=altair.Y("cost:Q", scale=altair.Scale(type="log"), title="µs/row, ms/query (log)"),
            color=altair.Color("figure:N", title=None, sort=None),
        )
        .properties(width=220, height=160)
        .facet(altair.Facet("group:N", title=None, sort=None), columns=3)
        .resolve_scale(x="independent")
    )
    file = f"{name}.svg"
    chart.save(str(folder / file))
    return file
