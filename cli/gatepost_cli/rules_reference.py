"""docs/rules.md, and rows of docs/replies.md: those about rules from the catalogue, those about all else that
is refused after a login from ``domain.decision.refusals``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gatepost_core.domain.decision.refusals.advice import Part, rows
from gatepost_core.domain.rules.asking import Stage
from gatepost_core.domain.rules.catalogue import RULES, Rule
from gatepost_core.domain.rules.hours import SPANS_MOST
from gatepost_core.domain.rules.patterns import PATTERNS_MOST
from gatepost_core.domain.rules.replies import REPLIES, Reply

_BEFORE: Final = """\
A credential says what its holder may do: by [limits](limits.md) how much in a time, by rules all else.

    gatepost credential set USER --recipient example.org --max-size 20M --hours "Mon-Fri 08:00-18:00"

A rule that has several values is replaced as a whole. `none` lifts it. An account has rules, too:

    gatepost account set NAME --max-recipients 100 --deny-recipient competitor.example

They hold for those of its credentials that have no such rule of their own: each rule for itself, and the
credential's own instead of the account's, never both. `--max-recipients none` frees a credential of its
account's rule, `default` goes back to that. `gatepost credential show` says which rules are the
account's. Changes count at once, also in sessions that are open.
"""
_AFTER: Final = f"""\
*At RCPT* and *at DATA* `gatepost-policy` asks, *at the end of the message* `gatepost-milter`: once more,
because a rule may have been made meanwhile, and because only then the size and all recipients are known
for sure.

## Addresses

A pattern is an address (`bob@example.org`), a domain (`example.org`, without what is below it) or all
below a domain (`*.example.org`). Letters beyond ASCII are taken as they are or in A-labels; case does not
matter. A rule has at most {PATTERNS_MOST:,} patterns. What comes after a `+` counts:
`bob+news@example.org` is another address. Addresses by number (`bob@[192.0.2.1]`) are no domain's, so
`--recipient` refuses them, and `--deny-recipient` for a domain does not know them.

Postfix may read an address twice: `bob%example.org@gateway.example` goes to `bob@example.org` where
`gateway.example` is the gateway itself, and so do `example.org!bob@…` and `"bob@example.org"@…`. So each
such address counts as all that it may be read as: all of it has to be allowed, none of it may be denied.

Denied goes before allowed. [Suppression](suppression.md) goes its own way: an address that is allowed may
be suppressed.

## Hours

`[DAYS] [HH:MM-HH:MM]`: `Mon-Fri 08:00-18:00`, `Sat,Sun` (the whole days), `12:00-13:30` (each day).
`22:00-06:00` goes on over midnight and belongs to the day that it begins on. Several may be given, at
most {SPANS_MOST}; the end is not among them, and `24:00` is the end of a day. They are those of the
account's time zone (`gatepost account set NAME --time-zone Europe/Amsterdam`, or else the setting
`limits.time_zone`), by the clock on the wall: where it is put forward, what would open in the hour that
is left out opens at its end; where it is put back, the hour that comes twice counts twice.

What comes outside of them is refused for now (451), with the time at which to come again: a client's
queue sends it then. A message that was begun in time and ends too late is refused as well.

## Trying it

`gatepost policy test` plays a transaction against all of it, step by step, at any time of the week:

    gatepost policy test --credential USER --to bob@example.org --size 5M --at 2026-11-28T03:00

    RCPT <bob@example.org>
      passes   login, state, network  login stands
      passes   sender                 sender allowed
      REFUSED  hours                  451 4.7.1 Credential gp4vtq2p7xkrm3wa may send Mon-Fri 08:00-18:00
                                      (Europe/Amsterdam); try again after 2026-11-30T07:00:00Z (outside
                                      of its hours)

`gatepost explain` does so for a message of which you have the file.
"""


def page() -> Iterator[str]:
    """Yield the lines of docs/rules.md after its title."""
    yield from _BEFORE.splitlines()
    yield ""
    yield "| rule | option | meaning | without it | asked |"
    yield "|---|---|---|---|---|"
    yield from (_row(rule) for rule in RULES.values())
    yield ""
    yield from _AFTER.splitlines()
    yield ""
    yield "## What a client hears"
    yield ""
    for name, rule in RULES.items():
        texts = ", ".join(dict.fromkeys(f"`{reply.text[:9]}`" for reply in REPLIES[name]))
        yield f"* {rule.title}: {texts}"
    yield ""
    yield "Their texts name the rule, what it allows and what the message has: [replies](replies.md#rules)."


def replies(whole: str) -> str:
    """Return docs/replies.md with its parts about refusals as their definitions have them."""
    for name, lines in (("rules", _replies()), ("rcpt", _table("rcpt")), ("end", _table("end"))):
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
        before, _, rest = whole.partition(begin)
        _, _, after = rest.partition(end)
        whole = f"{before}{begin}{chr(10).join(lines)}\n{end}{after}"
    return whole


def _table(part: Part) -> Iterator[str]:
    yield ""
    yield "| reply | when | what to do |"
    yield "|---|---|---|"
    for row in rows(part):
        yield f"| {row.reply} | {row.when} | {row.remedy} |"
    yield ""


def _row(rule: Rule) -> str:
    stages = ", ".join(stage.value for stage in Stage if stage in rule.stages)
    several = "; may be given several times" if rule.many else ""
    return (
        f"| {rule.title} | `{rule.option} {rule.metavar}` | {rule.help.rstrip('.')}{several} | {rule.free} | "
        f"{stages} |"
    )


def _replies() -> Iterator[str]:
    yield "## Rules"
    yield ""
    yield "By the [rules](rules.md) of a credential, or of its account, at RCPT, at DATA, or at the end of"
    yield "the message; then without Postfix's words in front."
    yield ""
    yield "| reply | rule | when | what to do |"
    yield "|---|---|---|---|"
    titles: dict[Reply, list[str]] = {}
    for name, rule in RULES.items():
        for reply in REPLIES[name]:
            titles.setdefault(reply, []).append(rule.title)
    for reply, rules in titles.items():
        yield f"| `{reply.text}` | {', '.join(rules)} | {reply.when} | {reply.remedy} |"
    yield ""
