"""The progress bar, with amount done, speed and remaining time. tqdm draws it on stderr."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

from ..errors import InvalidArgumentError

_SCALED_FROM = 1000  # larger numbers are scaled, since 12.3k is easier to read than 12345


def bar(
    progress: bool | None,
    name: str | None = None,
    *,
    total: int | None = None,
    done: int = 0,
    unit: str = " records",
    notebooks: bool = False,
    option: str | None = None,
) -> Any:
    """Create a tqdm bar. Returns None if no bar is to be shown.

    progress   None: show a bar if stderr is visible to a user and tqdm is installed
    notebooks  whether a notebook is visible to a user
    option     the option that requested the bar, for the error if tqdm is missing; None: show no bar then
    """
    if progress is False or (progress is None and not watched(notebooks)):
        return None
    if sys.stderr is None:  # as in a program without a console
        return None
    if find_spec("tqdm") is None:  # chroma-arrow-client does not depend on it
        if progress is None or option is None:
            return None
        raise InvalidArgumentError(f"{option} needs the package tqdm: `pip install tqdm`")
    if notebooks:
        from tqdm.auto import tqdm
    else:
        from tqdm import tqdm
    scaled = total is None or total >= _SCALED_FROM
    return tqdm(total=total, initial=done, unit=unit, unit_scale=scaled, desc=name, file=sys.stderr)


def watched(notebooks: bool = False) -> bool:
    """Whether stderr is visible to a user."""
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    shell = sys.modules.get("IPython") if notebooks else None  # a notebook has loaded it
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
