"""The metadata that `importlib.metadata` reports for the distribution `chromadb`."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from .names import version


class AsChromadb(Distribution):
    """A distribution with a name and a version, and no files."""

    def read_text(self, filename: str) -> str | None:
        """Return the text of METADATA, the only file."""
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: chromadb\nVersion: {version()}\n"

    def locate_file(self, path: Any) -> Any:
        """Return the path below the folder that the package is in."""
        return Path(__file__).resolve().parents[2] / path
