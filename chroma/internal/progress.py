"""The progress bar: how much is done, how fast, and the time that is left. It is drawn by tqdm on stderr."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Any

from ..errors import InvalidArgumentError

_SCALED_FROM = 1000  # from here on 12.3k is easier to read than 12345


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
    """A bar of tqdm, or None where there is to be none.

    progress   None: where somebody watches, and tqdm is installed
    notebooks  whether who looks at a notebook counts as watching
    option     what asked for the bar: the error names it where tqdm is missing. None: no bar then
    """
    if progress is False or (progress is None and not watched(notebooks)):
        return None
    if find_spec("tqdm") is None:  # it is no part of chroma-arrow-client
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
    """Whether somebody sees what stderr shows."""
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    shell = sys.modules.get("IPython") if notebooks else None  # a notebook has it loaded
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"
