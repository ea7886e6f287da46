"""Load everything in batches, until acknowledged and until indexed; what it takes of memory, CPU, disk."""

from __future__ import annotations

import time
from typing import Any

from memory import Peak, disk_bytes, growth
from prepare import stored

from .common import Result, Task

BATCH = 10_000  # records per call; a driver splits them where its system takes fewer


def run(system: str, given: dict[str, Any]) -> Result:
    task, result = Task(system, given), Result()
    rows = stored(task.folder)
    parts = [rows.part(start, start + BATCH) for start in range(0, len(rows), BATCH)]
    driver, imported = growth(task.driver)
    inputs = [driver.input(part) for part in parts]
    with Peak(imported) as peak:
        driver.open()
        start, processor = time.perf_counter(), time.process_time()
        for part in inputs:
            driver.add(part)
        acknowledged = time.perf_counter() - start
        driver.settle()
        ready = time.perf_counter() - start
        processor = time.process_time() - processor
    result.checks["every row is there"] = driver.count() == len(rows)
    driver.close()
    result.figures = {
        "until acknowledged, rows/s": len(rows) / acknowledged,
        "until indexed, rows/s": len(rows) / ready,
        "CPU until indexed, s": processor,
        "peak memory, MB": peak.total,
        "peak anonymous memory, MB": peak.anonymous,
        "of it importing, MB": imported[0],
        "peak memory of the process, MB": peak.process,
        "disk, bytes/row": disk_bytes(task.path) / len(rows),
    }
    if not driver.durable:
        result.figures["until acknowledged, rows/s"] = "nothing is durable before it is saved"
    return result
