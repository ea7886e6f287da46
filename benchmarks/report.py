"""Markdown from results: tables of all figures, the bars, what failed; between markers of a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import plots
from bars import OURS, Verdict, bars_for, judge
from results import Results, Spread

TITLES = {
    "build": "Bulk load in batches of 10,000",
    "single": "Adds of one row, on disk when they return",
    "query": "Searches, k = 10, recall@10 of at least 0.95 but where it says by default",
    "filtered": "Searches with a filter: the same again (repeated), another one in every query (new)",
    "document": "Searches among documents that contain a text",
    "read": "Records and tables",
    "mutate": "Updates and deletions of many rows",
    "cold": "A new process",
    "background": "While an index is built in the background",
    "correct": "Correctness",
}


def number(value: float) -> str:
    """Three digits that matter, and thousands."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.4g}" if abs(value) < 10 else f"{value:.3g}"


def cell(found: Spread | str | None, ratio_to: Spread | str | None = None) -> str:
    """`median (least-most)`, or the reason why there is none."""
    if found is None:
        return ""
    if isinstance(found, str):
        return found.replace("|", "/")
    text = number(found.median)
    if found.repeats > 1 and number(found.least) != number(found.most):
        text += f" ({number(found.least)}–{number(found.most)})"
    return text


def table(header: list[str], lines: list[list[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def workload_table(results: Results, workload: str) -> str:
    systems = [
        name
        for name in results.systems()
        if any(results.figure(name, workload, figure) is not None for figure in results.figures(workload))
    ]
    lines = [
        [figure, *(cell(results.figure(system, workload, figure)) for system in systems)]
        for figure in results.figures(workload)
    ]
    return table(["figure", *systems], lines)


def bars_table(verdicts: list[Verdict]) -> str:
    lines = []
    for verdict in verdicts:
        bar, ratio = verdict.bar, verdict.ratio
        peer = bar.peer if bar.peer_figure is None else f"{bar.peer}, {bar.peer_figure}"
        lines.append(
            [
                bar.label(),
                peer,
                cell(verdict.ours),
                cell(verdict.peer),
                "" if ratio is None else f"{ratio:.2f} ×",
                f"{'≤' if bar.less_is_better else '≥'} {bar.bar:g} ×",
                verdict.text(),
            ]
        )
    return table(["figure", "against", "ours", "the other", "ratio", "bar", ""], lines)


def section(results: Results, data: str, figures: Path | None = None, link: str = "") -> str:
    """Everything about one data set. Plots go to the folder `figures`; `link` leads to it from the page."""
    chosen = results.of(data)
    parts = [
        _machine(results),
        f"Data: `{data}`. Medians of {_repeats(chosen)} (least–most); {OURS} is this project.\n",
    ]
    failures = chosen.failures()
    if failures:
        parts.append("**What failed or is missing:**\n\n" + "".join(f"- {line}\n" for line in failures))
    verdicts = judge(chosen, bars_for(data))
    parts.append("#### Bars\n\n" + bars_table(verdicts))
    drawn = plots.draw(chosen, figures, _slug(data)) if figures else {}
    for workload in chosen.workloads():
        text = f"#### {TITLES.get(workload, workload)}\n\n"
        text += "".join(f"![{name}]({link}/{name})\n\n" for name in drawn.get(workload, []))
        parts.append(text + workload_table(chosen, workload))
    return "\n".join(parts)


def _slug(data: str) -> str:
    return re.sub(r"\W+", "-", data).strip("-").lower()


def _repeats(results: Results) -> str:
    counts: dict[tuple[str, str], int] = {}
    for run in results.runs:
        if "figures" in run:
            counts[run["system"], run["workload"]] = counts.get((run["system"], run["workload"]), 0) + 1
    least, most = min(counts.values(), default=0), max(counts.values(), default=0)
    return f"{most} run{'s' * (most != 1)}" if least == most else f"{least} to {most} runs"


def _machine(results: Results) -> str:
    machine: dict[str, Any] = results.machine
    dates = sorted(run["date"] for run in results.runs)
    span = " to ".join(dict.fromkeys(date[:10] for date in (dates[:1] + dates[-1:])))
    packages = "; ".join(
        f"{system}: " + ", ".join(f"{name} {version}" for name, version in found.items())
        for system, found in results.versions.items()
    )
    return (
        f"{machine.get('cores')} cores ({machine.get('processor')}), {machine.get('memory_gb')} GB, "
        f"{machine.get('system')}; {span}.\nVersions: {packages}.\n"
    )


def replace(text: str, name: str, content: str) -> str:
    """`text` with the part between the markers of `name` replaced; added at the end if there are none."""
    begin, end = f"<!-- bench:{name} begin -->", f"<!-- bench:{name} end -->"
    block = f"{begin}\n{content.strip()}\n{end}"
    if begin not in text:
        return f"{text.rstrip()}\n\n{block}\n" if text.strip() else block + "\n"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise ValueError(f"the markers of {name!r} must stand there once, begin before end")
    return text[: text.index(begin)] + block + text[text.index(end) + len(end) :]


def write(page: Path, name: str, content: str) -> None:
    page.write_text(replace(page.read_text() if page.exists() else "", name, content))
