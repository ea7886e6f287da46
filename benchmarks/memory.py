"""Memory of this process, in MB, and bytes of a folder on disk. Linux only: it reads /proc."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SAMPLE_SECONDS = 0.02


def memory_mb(field: str) -> float:
    """`VmRSS` (resident now), `VmHWM` (the most so far), `RssAnon`, `RssFile`; NaN without /proc."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    for line in lines:
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    return float("nan")


def forget_peak() -> None:
    """Start `VmHWM` again from what is resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # the peak of making the input is in the figure then


def growth(call: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """The result of a call, and by how much resident and anonymous memory grew."""
    before = memory_mb("VmRSS"), memory_mb("RssAnon")
    result = call()
    return result, (memory_mb("VmRSS") - before[0], memory_mb("RssAnon") - before[1])


class Peak:
    """While it is open: the most resident memory over what was resident at its start.

    The whole comes from the kernel's high-water mark; anonymous memory (what cannot be given back, as mapped
    files can) is sampled, since the kernel keeps no mark of it.
    """

    def __init__(self, already: tuple[float, float] = (0.0, 0.0)) -> None:
        self._already = already  # what counts as well: see `growth`

    def __enter__(self) -> Peak:
        forget_peak()
        self._base, self._anonymous_base = memory_mb("VmRSS"), memory_mb("RssAnon")
        self._most_anonymous = self._anonymous_base
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._sampler.join()
        self._look()
        self.total = self._already[0] + memory_mb("VmHWM") - self._base
        self.anonymous = self._already[1] + self._most_anonymous - self._anonymous_base
        self.process = memory_mb("VmHWM")

    def _look(self) -> None:
        self._most_anonymous = max(self._most_anonymous, memory_mb("RssAnon"))

    def _sample(self) -> None:
        while not self._stop.is_set():
            self._look()
            time.sleep(SAMPLE_SECONDS)


def disk_bytes(path: str | Path) -> int:
    """Bytes below a folder: allocated, but no more than the size of each file."""
    files = [file for file in Path(path).rglob("*") if file.is_file()]
    return sum(min(file.stat().st_blocks * 512, file.stat().st_size) for file in files)
