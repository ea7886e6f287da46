"""One workload of one system in one process: prints its figures as a line of JSON.

    python benchmarks/worker.py SYSTEM WORKLOAD TASK

TASK is JSON: `path` of the database, `data` (the folder made by prepare.py), `dimension`, `knob`, and the
`seconds` of a timed loop. The line has `figures` (name with unit: a number, or a text that says why there is
none) and `checks` (name: bool).
Loads as little as it can, for the cold start and memory are measured here, too.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module


def main() -> None:
    system, workload, given = sys.argv[1:4]
    result = import_module(f"workloads.{workload}").run(system, json.loads(given))
    print(json.dumps({"figures": result.figures, "checks": result.checks}), flush=True)
    os._exit(0)  # some systems hang at exit; the figures are printed


if __name__ == "__main__":
    main()
