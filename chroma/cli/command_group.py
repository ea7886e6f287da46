"""The group of commands whose error for an unknown command names the one that was probably meant."""

from __future__ import annotations

import click

from ..storage.interface.nearest_names import nearest


class CommandGroup(click.Group):
    """A group of commands, as `chroma` itself and `chroma auth`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. The error for an unknown one names the command that is spelled most alike."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            remedy = nearest(name, self.list_commands(ctx)) or f"; {ctx.command_path} --help lists them"
            ctx.fail(f"No such command {name!r}{remedy}.")
        return super().resolve_command(ctx, args)
