"""`chroma completion`: lets a shell complete commands, options, folders and names of collections."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

_WHERE = {
    "bash": 'eval "$(chroma completion bash)"            in ~/.bashrc',
    "zsh": 'eval "$(chroma completion zsh)"             in ~/.zshrc',
    "fish": "chroma completion fish | source             in ~/.config/fish/config.fish",
}


@click.command(
    epilog="\b\n" + "\n".join(_WHERE.values()),
)
@click.argument("shell", type=click.Choice(list(_WHERE)))
def completion(shell: str) -> None:
    """Print the completion script of a shell: bash, zsh or fish."""
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root()
    name = root.info_name or "chroma"
    variable = f"_{name}_COMPLETE".replace("-", "_").upper()
    # Calls the base class, because the method for bash runs bash to check its version and prints a message.
    click.echo(ShellComplete.source(found(root.command, {}, name, variable)))
