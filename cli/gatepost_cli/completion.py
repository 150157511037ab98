"""``gatepost completion``: click's completion script for bash, zsh or fish."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from gatepost_cli.nouns import NOUNS
from gatepost_cli.output import emit
from gatepost_cli.session import CliSession, json_option, pass_session

_VARIABLE = "_GATEPOST_COMPLETE"


@click.command("completion", help=NOUNS["completion"].help)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
@pass_session
def command(session: CliSession, ctx: click.Context, shell: str) -> None:
    """Print the script; where to put it is the shell's business."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell!r}; expected bash, zsh or fish")
    script = kind(ctx.find_root().command, {}, "gatepost", _VARIABLE).source()
    emit(session, {"shell": shell, "script": script}, script)
