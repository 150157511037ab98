"""Entry point of ``gatepost``: finds the noun's module, runs the verb, turns faults into exit codes.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 bad configuration, 5 a check
found faults. Errors go to standard error, as ``{"error": ...}`` when ``--json`` was given.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from gatepost_cli.group import Group
from gatepost_cli.nouns import NOUNS
from gatepost_cli.session import CliSession
from gatepost_core import __version__

FAILED = 1
USAGE = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


class Root(Group):
    """The command group that imports a noun's module only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the nouns in the order of the help."""
        del ctx
        return list(NOUNS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a noun's command, or None."""
        del ctx
        noun = NOUNS.get(cmd_name)
        if noun is None:
            return None
        command: click.Command = importlib.import_module(f"gatepost_cli.{noun.module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of nouns without importing any of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, noun.help) for name, noun in NOUNS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run and exit with a code that a script can rely on."""
        del standalone_mode, windows_expand_args
        words = sys.argv[1:] if args is None else list(args)
        try:
            result = super().main(
                words, prog_name or "gatepost", complete_var, standalone_mode=False, **extra
            )
        except click.ClickException as error:
            _complain_of_usage(error, "--json" in words)
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("Interrupted.", err=True)
            sys.exit(_INTERRUPTED)
        except Exception as error:
            explained = importlib.import_module("gatepost_cli.faults").explain(error)
            if explained is None:
                raise
            code, text = explained
            complain(text, "--json" in words)
            sys.exit(code)
        sys.exit(result if isinstance(result, int) else 0)


def complain(text: str, as_json: bool) -> None:
    """Print an error on standard error."""
    click.echo(json.dumps({"error": text}, ensure_ascii=False) if as_json else f"Error: {text}", err=True)


def _complain_of_usage(error: click.ClickException, as_json: bool) -> None:
    if as_json:
        complain(error.format_message(), as_json)
    else:
        error.show()


def _overrides(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not of the form section.field=value")
        values[name.strip()] = value
    return values


@click.group(cls=Root, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Settings file; default: GATEPOST_CONFIG, then /etc/gatepost/gatepost.toml.",
)
@click.option(
    "--set",
    "overrides",
    metavar="SECTION.FIELD=VALUE",
    multiple=True,
    callback=_overrides,
    help="Override one setting, for this command only; may be given several times.",
)
@click.version_option(__version__, prog_name="gatepost", message="%(prog)s %(version)s")
@click.pass_context
def main(ctx: click.Context, config: str | None, overrides: dict[str, str]) -> None:
    """Manage Gatepost, the plug-ins that turn Postfix into an SMTP gateway.

    Every command takes --json. Exit codes: 0 done, 1 failed, 2 usage, 3 not found,
    4 bad configuration, 5 a check found faults.
    """
    ctx.obj = CliSession(config, overrides)
    if ctx.invoked_subcommand is None:
        importlib.import_module("gatepost_cli.first_steps").show(ctx.obj)


if __name__ == "__main__":
    main()
