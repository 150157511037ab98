"""``script/bench``: runs the benchmarks and prints each figure beside its reference and goal."""

from __future__ import annotations

import signal
import sys

import click
from rich.console import Console
from rich.table import Table

from gatepost_bench import auth, clicks, ingest, mail, maillog, returning
from gatepost_bench.mail import DAEMONS, Figures
from gatepost_bench.rows import ROWS, VARIANTS

_FILE_WIDTH = 120
_SOME = click.IntRange(min=1)


@click.command()
@click.option("--messages", type=_SOME, default=2000, show_default=True, help="Messages a variant and round.")
@click.option("--rounds", type=_SOME, default=3, show_default=True, help="Rounds; the median counts.")
@click.option("--logins", default=20000, show_default=True, help="Logins on one kept connection; 0: none.")
@click.option(
    "--sessions", type=_SOME, default=4000, show_default=True, help="SMTP sessions with one login each."
)
@click.option("--requests", default=40000, show_default=True, help="Clicks a round; 0: none.")
@click.option("--only", default="", metavar="TEXT", help="Only variants with this text in their names.")
def main(messages: int, rounds: int, logins: int, sessions: int, requests: int, only: str) -> None:
    """Measure Gatepost beside its references, in one run."""
    # Ended from outside, it ends what it started: the servers are children of several levels.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    variants = [variant for variant in VARIANTS if only.lower() in variant.name.lower()]
    if not variants:
        raise click.BadParameter(f"{only!r} is in no variant's name", param_hint="--only")
    with console.status("starting") as status:
        logged_in = auth.measure(logins, sessions) if logins else {}
        figures, memory = mail.measure(variants, messages, rounds, status.update)
        status.update("clicks")
        clicked = clicks.measure(requests, rounds) if requests and not only else {}
        status.update("spool to store")
        taken = 0.0 if only else ingest.slowest()
        lines = 0.0 if only else maillog.measure()
        status.update("what comes back")
        came_back = None if only else returning.measure()
    console.print(_mail_table(figures))
    console.print(_ratios(figures, logged_in, clicked, memory, taken, lines, came_back))


def _mail_table(figures: dict[str, Figures]) -> Table:
    table = Table(title="Messages over TLS, 10 sessions, 100 messages a connection")
    for heading in ("variant", "accepted/s", "Postfix ms", *(f"{name} ms" for name in DAEMONS)):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for name, one in figures.items():
        cells = [f"{one.daemon_ms(daemon):.2f}" if one.plugins_ms else "" for daemon in DAEMONS]
        table.add_row(name, f"{one.rate:.0f}", f"{one.postfix_ms:.2f}", *cells)
    return table


def _ratios(
    figures: dict[str, Figures],
    logged_in: dict[str, auth.AuthFigures],
    clicked: dict[str, clicks.Figures],
    memory: dict[str, int],
    taken: float,
    lines: float,
    came_back: returning.Taken | None,
) -> Table:
    table = Table(title="Ratios, both sides of this run (CPU of whole process groups)")
    for heading in ("work", "measured", "reference", "ratio", "goal"):
        table.add_column(heading, justify="left" if heading == "work" else "right")
    rows = _login_rows(logged_in) if logged_in else []
    for row in ROWS:
        values = row.values(figures)
        if values is not None:
            rows.append((row.work, *values, row.unit, row.goal))
    rows += _click_rows(clicked) if clicked else []
    for work, measured, reference, unit, goal in rows:
        # Of very few, the kernel's clock of 10 ms may have seen none.
        ratio = f"{measured / reference:.2f}" if reference else "too few"
        table.add_row(work, f"{measured:.3g} {unit}", f"{reference:.3g} {unit}", ratio, goal)
    if taken:
        table.add_row("spool to store, entries a second of CPU", f"{taken:,.0f} /s", "", "", "≥ 15,000 /s")
        table.add_row("the mail log, lines a second of CPU", f"{lines:,.0f} /s", "", "", "≥ 50,000 /s")
    if came_back is not None:
        table.add_row("bounces taken, a connection each", f"{came_back.rate:,.0f} /s", "", "", "≥ 300 /s")
    for name, size in memory.items():
        table.add_row(f"memory of {name}, PSS of the whole daemon", f"{size / 1e6:.0f} MB", "", "", "≤ 60 MB")
    return table


_LoginRow = tuple[str, float, float, str, str]


def _login_rows(figures: dict[str, auth.AuthFigures]) -> list[_LoginRow]:
    return [
        _login_row("AUTH PLAIN by Postfix, a login a session", figures, " by Postfix", "≤ 1.0"),
        _login_row("AUTH PLAIN on one kept connection", figures, "", ""),
        _login_row("the same, a server in Python that does nothing", figures, " by Postfix", "", "floor"),
    ]


def _click_rows(figures: dict[str, clicks.Figures]) -> list[_LoginRow]:
    ours, nginx = figures["tracker"], figures["nginx"]
    work = "click redirect with its event kept"
    return [
        (f"{work}, CPU a request, against nginx return 302", ours.cpu, nginx.cpu, "µs", "≤ 3"),
        (f"{work}, p99 at half load", ours.p99, nginx.p99, "ms", "≤ 3"),
        (f"{work}, as fast as it goes", ours.rate, nginx.rate, "/s", ""),
    ]


def _login_row(
    work: str, figures: dict[str, auth.AuthFigures], how: str, goal: str, who: str = "gatepost"
) -> _LoginRow:
    ours, dovecot = figures[f"{who}{how}"], figures[f"dovecot{how}"]
    return (f"{work}, CPU, against Dovecot", ours.cpu_ms, dovecot.cpu_ms, "ms", goal)


if __name__ == "__main__":
    main(prog_name="script/bench")
