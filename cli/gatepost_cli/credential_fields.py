"""A credential's fields as options of ``credential add`` and ``set``, and its name as an argument."""

from __future__ import annotations

import click

from gatepost_cli import values
from gatepost_cli.complete import credential_names, feature_names
from gatepost_core.domain import Mode

label = click.option("--label", metavar="TEXT", help="What it is for, in your own words.")
feature = click.option(
    "--feature",
    "features",
    metavar="NAME[=VALUE]",
    multiple=True,
    callback=values.features,
    shell_complete=feature_names,
    help="A feature and its value; a flag without a value is on. May be given several times.",
)
limit = click.option(
    "--limit",
    "limits",
    metavar="LIMIT",
    multiple=True,
    callback=values.limits,
    help="How much it may send: [messages|recipients|bytes=]N/PERIOD, PERIOD one of minute, hour, day, "
    "month, such as 500/hour, bytes=1G/day:sliding, 1000/hour:burst=100 or 200/hour:hold. "
    "May be given several times. none: as much as it likes; default: what the setting limits.credential "
    "says.",
)
password_hash = click.option(
    "--password-hash",
    "password_hash",
    metavar="HASH|-",
    callback=values.password_hash,
    help="A password hash from another system, $argon2id$...; - reads it from standard input.",
)
MODES = click.Choice([mode.value for mode in Mode])
MODE_HELP = "live; hold: messages wait to be released; sandbox: they are recorded, and not delivered."
expires = click.option(
    "--expires",
    metavar="DATE|never",
    callback=values.expiry,
    help="When it ends: 2027-01-31T18:00 (UTC), 2027-01-31 (00:00 UTC, as that day begins), 90d, or never.",
)
user = click.argument("user", shell_complete=credential_names)
