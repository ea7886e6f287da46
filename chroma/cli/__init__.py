"""The `chroma` command. Each module has a group of commands and is loaded when one of them is called."""

from __future__ import annotations

from .main import cli, main

__all__ = ["cli", "main"]
