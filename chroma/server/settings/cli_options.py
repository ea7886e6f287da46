"""Builds the options of `chroma run` from the declarations of the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .server_settings import GROUPS, About, declared


def setting_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add an option for every setting except secret ones. Options that are not given are None."""
    for name, default, about in reversed(list(declared())):
        if not about.secret:
            command = _option(name, default, about)(command)
    return command


def _option(name: str, default: Any, about: About) -> Callable[[Callable[..., None]], Callable[..., None]]:
    flag = "--" + name.replace("_", "-")
    help = f"{about.help}{_default(default, about)}"
    if isinstance(default, bool):
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, help=help)
    if isinstance(default, int):
        kind = _Range(about.low, about.high)
        return click.option(flag, name, type=kind, metavar="N", help=help)
    if isinstance(default, tuple):
        return click.option(flag.removesuffix("s"), name, multiple=True, metavar=about.item, help=help)
    if about.choices:
        return click.option(flag, name, type=click.Choice(about.choices, case_sensitive=False), help=help)
    return click.option(flag, name, metavar="TEXT" if "otel" in name else _metavar(name), help=help)


def _metavar(name: str) -> str:
    return {"path": "DIR", "backup_dir": "DIR", "host": "ADDRESS", "metrics_listen": "HOST:PORT"}.get(
        name, "FILE"
    )


def _default(default: Any, about: About) -> str:
    if isinstance(default, bool):
        return f" Default: {'on' if default else 'off'}"
    shown = about.shown or (f"{default}" if default not in ("", ()) else "")
    return f" Default: {shown}" if shown else ""


class _Range(click.IntRange):
    """A range whose bounds appear in error messages, but not in the help."""

    def _describe_range(self) -> str:
        return ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The value as a number. A number outside the bounds is an error that names them."""
        number: int = click.INT.convert(value, param, ctx)
        if not self.min <= number <= self.max:  # type: ignore[operator]
            self.fail(f"{number} is not in the range {self.min} to {self.max}.", param, ctx)
        return number


class Grouped(click.Command):
    """A command whose help lists the options of settings by group, each under a heading."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section per group, then the options that are not settings."""
        groups = {name: about.group for name, _, about in declared()}
        sections: dict[str, list[tuple[str, str]]] = {group: [] for group in (*GROUPS, "Other options")}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None and parameter.name is not None:
                sections[groups.get(parameter.name, "Other options")].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records, col_max=34)
