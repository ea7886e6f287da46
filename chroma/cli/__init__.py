"""The `chroma` command: one module per group of commands, loaded when one of them is called."""

from __future__ import annotations

from .main import cli, main

__all__ = ["cli", "main"]
