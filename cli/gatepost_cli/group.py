"""A click group that says which word may have been meant when one is misspelt."""

from __future__ import annotations

import difflib

import click

_CLOSE = 0.6
_MOST = 3


class Group(click.Group):
    """Its commands' names are what a misspelt one is compared with."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that ``args`` begin with. Raises UsageError, with the names most like it."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            ctx.fail(unknown(name, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


def unknown(name: str, known: list[str]) -> str:
    """Return what to say of a word that is no command."""
    close = difflib.get_close_matches(name.lower(), known, _MOST, _CLOSE)
    # One that is cut short, or in the plural, is meant as well.
    close += [
        word for word in known if word not in close and (word.startswith(name) or name.startswith(word))
    ]
    if not close:
        return f"No such command {name!r}; there are {', '.join(known)}."
    return f"No such command {name!r}. Did you mean {' or '.join(close[:_MOST])}?"
