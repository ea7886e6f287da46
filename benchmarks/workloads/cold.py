"""A new process: import, open, first answer. The parent adds the seconds of the whole process."""

from __future__ import annotations

import json
import time
from typing import Any

from memory import memory_mb

from .common import Result, Task


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    vector = json.loads((task.folder / "first.json").read_text())
    start = time.perf_counter()
    driver = task.driver()
    imported = time.perf_counter()
    driver.open()
    found = driver.query(vector)
    done = time.perf_counter()
    result.checks["the first answer has ten hits"] = len(found) == 10
    result.figures = {
        "import, s": imported - start,
        "open and first answer, s": done - imported,
        "peak memory of the process, MB": memory_mb("VmHWM"),
    }
    return result
