"""`chroma check`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from .exit_codes import DAMAGED
from .output import json_option, print_json
from .targets import folder_argument


@click.command()
@folder_argument
@click.option("--repair", is_flag=True, help="Rebuild caches, cut torn tails, set aside what is lost.")
@json_option
def check(folder: str, repair: bool, as_json: bool) -> None:
    """Verify every file of a database, and repair on request.

    The exit code is 1 if anything is damaged.

    With --repair, no other process may use the folder.
    """
    from ..embedded.backend import check_folder
    from ..embedded.error_translation import translated

    with translated():
        report = check_folder(folder, repair)
    if as_json:
        findings = [asdict(finding) for finding in report.findings]
        print_json({"ok": report.ok, "findings": findings})
    else:
        for finding in report.findings:
            click.echo(
                f"{finding.severity:<8}  {finding.path}" + (f": {finding.message}" if finding.message else "")
            )
        damaged = sum(finding.severity == "damaged" for finding in report.findings)
        repaired = sum(finding.severity == "repaired" for finding in report.findings)
        click.echo(f"{len(report.findings)} checked, {damaged} damaged, {repaired} repaired")
        if damaged and not repair:
            if (Path(folder) / "backup.json").exists():
                click.echo("It is a backup: make it again, with chroma backup --verify, if you still can")
            click.echo(f"Try: chroma check {folder} --repair")
    if not report.ok:
        sys.exit(DAMAGED)
