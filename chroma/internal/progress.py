"""Progress of a load or an export: rows, rate, and the time that is left."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

from ..errors import InvalidArgumentError


def bar(progress: bool | None, name: str, total: int | None = None, done: int = 0) -> Any:
    """A bar of tqdm, or None where there is to be none: without being asked for only on terminals, in
    notebooks, and where tqdm is installed."""
    if progress is False or (progress is None and not (sys.stderr.isatty() or "ipykernel" in sys.modules)):
        return None
    if find_spec("tqdm") is None:
        if progress is None:
            return None
        raise InvalidArgumentError("progress=True needs the package tqdm: `pip install tqdm`")
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=done, unit=" rows", unit_scale=True, desc=name)
