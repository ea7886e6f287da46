"""Calling the command inside the process."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from chroma.cli import cli


def runner() -> CliRunner:
    """Standard error on its own, as later versions have it by themselves."""
    if "mix_stderr" in inspect.signature(CliRunner).parameters:
        return CliRunner(mix_stderr=False)  # type: ignore[call-arg, unused-ignore]
    return CliRunner()


def run(*arguments: str | Path, **options: Any) -> Result:
    return runner().invoke(cli, [str(argument) for argument in arguments], prog_name="chroma", **options)


def read(*arguments: str | Path) -> Any:
    """What the command prints with --json; it must succeed."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)
