"""The progress bar of everything that takes long: amount done, speed and remaining time.

tqdm counts and draws it, in terminals on stderr. In notebooks the same texts are HTML: the bar stays in the
saved notebook, and no widgets have to be installed.
"""

from __future__ import annotations

import functools
import html
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ..errors import InvalidArgumentError
from ..storage.interface.progress import observed

_SCALED_FROM = 1000  # larger numbers are scaled, since 12.3k is easier to read than 12345
_DELAY = 1.0  # seconds until a bar appears that nobody asked for: what ends sooner needs none
_thread = threading.local()


def bar(
    progress: bool | None,
    name: str | None = None,
    *,
    total: int | None = None,
    done: int = 0,
    unit: str = " records",
    option: str | None = None,
) -> Any:
    """Create a bar with the methods of tqdm's. Returns None if no bar is to be shown.

    progress  None: show a bar if a user can see it, tqdm is installed, and the work takes more than a second
    option    the option that requested the bar, for the error if tqdm is missing; None: show no bar then
    """
    if progress is False or (progress is None and not watched()) or getattr(_thread, "hidden", False):
        return None
    notebook = in_notebook()
    if sys.stderr is None and not notebook:  # as in a program without a console
        return None
    if find_spec("tqdm") is None:  # chroma-arrow-client does not depend on it
        if progress is None or option is None:
            return None
        raise InvalidArgumentError(f"{option} needs the package tqdm: `pip install tqdm`")
    kind = _notebook_bar() if notebook else _terminal_bar()
    scaled = total is None or total >= _SCALED_FROM
    return kind(
        total=total,
        initial=done,
        unit=unit,
        unit_scale=scaled,
        desc=name,
        file=sys.stderr,
        delay=_DELAY if progress is None else 0,
    )


def watched() -> bool:
    """Whether a user can see a bar: on a terminal, or in a notebook."""
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def in_notebook() -> bool:
    """Whether this process runs the cells of a notebook."""
    shell = sys.modules.get("IPython")  # a notebook has loaded it
    kinds = () if shell is None else type(shell.get_ipython()).__mro__
    return any(kind.__name__ == "ZMQInteractiveShell" for kind in kinds)


@contextmanager
def hidden() -> Iterator[None]:
    """Show no bar for what the block does in this thread, because a bar for all of it is shown already."""
    before, _thread.hidden = getattr(_thread, "hidden", False), True
    try:
        yield
    finally:
        _thread.hidden = before


@contextmanager
def indexing_bar(progress: bool | None, name: str) -> Iterator[None]:
    """Show a bar for the indexes that the engine builds in this thread while the block runs."""
    shown_bar: Any = None

    def tell(done: int, total: int) -> None:
        nonlocal shown_bar
        if shown_bar is None:
            shown_bar = bar(progress, f"{name}: indexing", total=total, unit=" rows", option="progress=True")
        if shown_bar is not None:
            if done < shown_bar.n or total != shown_bar.total:  # the next index
                shown_bar.reset(total)
            shown_bar.update(done - shown_bar.n)

    try:
        with observed(tell if progress is not False and (progress or watched()) else None):
            yield
    finally:
        if shown_bar is not None:
            shown_bar.close()


def _terminal_bar() -> Callable[..., Any]:
    from tqdm import tqdm

    kind: Callable[..., Any] = tqdm
    return kind


@functools.cache
def _notebook_bar() -> Callable[..., Any]:
    from IPython import display as frontend
    from tqdm.std import tqdm

    display: Callable[..., Any] = frontend.display

    class NotebookBar(tqdm):  # type: ignore[misc, type-arg, unused-ignore]
        """Draws the bar as an output of the cell, which later states replace."""

        def __init__(self, **options: Any) -> None:
            self._handle: Any = None
            super().__init__(**options, gui=True)  # tqdm itself draws nothing then
            if not self.disable and self.delay <= 0:
                self.display()

        def display(self, msg: str | None = None, pos: int | None = None) -> None:
            state = dict(self.format_dict)
            left, right = _texts(self, state)
            share = min(1.0, self.n / self.total) if self.total else None
            data = {"text/plain": f"{left} {right}", "text/html": bar_html(left, right, share)}
            if self._handle is None:
                self._handle = display(data, raw=True, display_id=True)
            else:
                self._handle.update(data, raw=True)

        def clear(self, *arguments: Any, **options: Any) -> None:
            """Keep the bar."""

        def close(self) -> None:
            if self.disable:
                return
            super().close()
            if self._handle is not None:
                self.display()

    return NotebookBar


def _texts(shown_bar: Any, state: dict[str, Any]) -> tuple[str, str]:
    """Return the texts that tqdm writes on both sides of its bar."""
    state["bar_format"] = (
        "{l_bar}\0{r_bar}" if shown_bar.total else "{desc}: \0{n_fmt}{unit} [{elapsed}, {rate_fmt}]"
    )
    state["ncols"] = None
    left, _, right = shown_bar.format_meter(**state).partition("\0")
    return left.strip().rstrip("|").strip(), right.strip().lstrip("|").strip()


def bar_html(left: str, right: str, share: float | None) -> str:
    """Render a bar whose colours suit light and dark notebooks. `share` None: it is unknown how much is
    left."""
    width = 100 if share is None else round(100 * share, 1)
    faint = ";opacity:.45" if share is None else ""
    return (
        '<div style="display:flex;align-items:center;gap:.8em;font-size:13px;max-width:60em">'
        f"<span>{html.escape(left)}</span>"
        '<div style="flex:1;min-width:6em;max-width:24em;height:.6em;border-radius:.3em;overflow:hidden;'
        'background:rgba(128,128,128,.3)">'
        f'<div style="width:{width}%;height:100%;background:#3b82c4{faint}"></div></div>'
        f'<span style="font-variant-numeric:tabular-nums">{html.escape(right)}</span></div>'
    )
