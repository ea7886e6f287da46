"""Debian's Chromium, driven by Playwright. Tests that need it are skipped where one of them is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path("/usr/bin/chromium")


@contextmanager
def launched(arguments: list[str]) -> Iterator[Any]:
    """A browser, which ends with the `with` block. While it is open, its thread can run no event loop, so no
    fixture may keep it for a whole session."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is missing: pip install playwright")
    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM} is missing: apt-get install chromium")
    with api.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=str(PROGRAM), args=arguments)
        yield opened
        opened.close()
