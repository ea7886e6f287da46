"""Where each microsecond goes, and what could not be faster: queries, filters, adds, a new process.

    python benchmarks/breakdown.py [--data SOURCE] [--write docs/profile.md] [--only query,filtered,add,open]

SOURCE as for bench.py. The steps of each call are made by the functions that the call uses, in its order,
with a clock between them (taken_apart/steps.py); whole calls and floors take turns with them. A function that
has another name by now, or steps that come to another answer than the call, end it with an error.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

SECTIONS = ("query", "filtered", "add", "open")


def main() -> None:
    import data
    import numpy as np
    import prepare
    import report

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", default="synthetic:50000:384")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", default=",".join(SECTIONS))
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(SECTIONS):
        parser.error(f"--only takes some of {', '.join(SECTIONS)}, not {', '.join(sorted(unknown))}")
    try:
        from taken_apart import adding, opening, reading
    except ImportError as error:
        raise SystemExit(_moved(error)) from error
    load = os.getloadavg()[0]
    rows, queries = data.load(options.data)
    correlated = prepare.correlated_value(np.array([each.get("lexname", "") for each in rows.metadatas]))
    truth = data.exact(rows, queries, np.arange(len(rows)))
    parts = []

    def add(title: str, measure: Callable[[], tuple[str, list[str]]]) -> None:
        try:
            table, notes = measure()
        except (AttributeError, ImportError) as error:
            raise SystemExit(_moved(error)) from error
        parts.append(f"### {title}\n\n{'; '.join(notes)}.\n\n{table}")
        print(parts[-1], flush=True)

    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        opened = None
        if {"query", "filtered", "open"} & set(wanted):
            opened = reading.Opened(f"{folder}/db", rows)
        if opened and "query" in wanted:
            add("A query", lambda: reading.plain(opened, reading.Bare(rows.vectors), queries, truth))
        if opened and "filtered" in wanted:
            add("A window of 1 %", lambda: reading.filtered(opened, "1 %", correlated, queries))
            add("A correlated filter", lambda: reading.filtered(opened, "correlated", correlated, queries))
        if opened:
            opened.close()
        if "add" in wanted:
            add("An add of 10,000 rows", lambda: adding.batch(f"{folder}/many", rows))
            add("An add of one row", lambda: adding.one(f"{folder}/one", rows))
        if opened and "open" in wanted:
            files = [*Path(folder, "db").rglob("vectors.arrow"), *Path(folder, "db").rglob("records.arrow")]
            add("A new process", lambda: opening.opening(f"{folder}/db", "bench", queries[0], files))
    source = "FILE.parquet" if options.data.endswith(".parquet") else options.data
    head = (
        f"{source}: {len(rows):,} rows of {rows.vectors.shape[1]} numbers; {datetime.date.today()}, "
        f"{os.cpu_count()} cores, load average {load:.1f} before and {os.getloadavg()[0]:.1f} after."
    )
    print(head)
    if options.write:
        if set(wanted) != set(SECTIONS):
            parser.error("--write needs all sections")
        report.write(options.write, "profile", head + "\n\n" + "\n".join(parts))


def _moved(error: Exception) -> str:
    return (
        "benchmarks/taken_apart calls the inner functions of the engine, and one is not where it was: "
        f"{error}. Look for what took its place, and time that."
    )


if __name__ == "__main__":
    main()
