"""``script/bench``: runs the benchmarks and prints each figure beside its reference and goal."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from gatepost_bench import auth, mail
from gatepost_bench.mail import DAEMONS, Figures, Variant

_ROOT = Path(__file__).resolve().parents[2]
_HTML = _ROOT / "tests/milter/messages/newsletter.eml"
_TEXT = Path(__file__).parent / "text-4kb.eml"
_FILE_WIDTH = 120
_FEATURES = {"inlinecss": True, "trackclicks": True, "preventscam": True}
ALONE, FLOOR, THROUGH, HTML_ALONE, HTML_THROUGH, HTML_FEATURES = (
    "Postfix alone, 4 kB text",
    "Milter and policy that do nothing, 4 kB text",
    "Gatepost passing through, 4 kB text",
    "Postfix alone, HTML newsletter",
    "Gatepost passing through, HTML newsletter",
    "Gatepost, inlinecss + trackclicks + preventscam",
)
OPENDKIM, SIGNED, ALL_RSA, ALL_BOTH = (
    "opendkim signing RSA-2048 only, HTML newsletter",
    "Gatepost, dkim alone, RSA-2048",
    "Gatepost, all of these and dkim, RSA-2048",
    "Gatepost, all of these and dkim, RSA-2048 and Ed25519",
)
_VARIANTS = [
    Variant(ALONE, _TEXT, None, "alone"),
    Variant(FLOOR, _TEXT, None, "floor"),
    Variant(THROUGH, _TEXT, {}, "full"),
    Variant(HTML_ALONE, _HTML, None, "alone"),
    Variant(HTML_THROUGH, _HTML, {}, "full"),
    Variant(HTML_FEATURES, _HTML, _FEATURES, "full"),
    Variant(OPENDKIM, _HTML, None, "opendkim"),
    Variant(SIGNED, _HTML, {"dkim": True}, "rsa"),
    Variant(ALL_RSA, _HTML, {**_FEATURES, "dkim": True}, "rsa"),
    Variant(ALL_BOTH, _HTML, {**_FEATURES, "dkim": True}, "full"),
]


@click.command()
@click.option("--messages", default=2000, show_default=True, help="Messages a variant and round.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; the median counts.")
@click.option("--logins", default=20000, show_default=True, help="Logins on one kept connection.")
@click.option("--sessions", default=4000, show_default=True, help="SMTP sessions with one login each.")
def main(messages: int, rounds: int, logins: int, sessions: int) -> None:
    """Measure Gatepost beside its references, in one run."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_WIDTH)
    with console.status("starting") as status:
        logged_in = auth.measure(logins, sessions)
        figures, memory = mail.measure(_VARIANTS, messages, rounds, status.update)
    console.print(_mail_table(figures))
    console.print(_ratios(figures, logged_in, memory))


def _mail_table(figures: dict[str, Figures]) -> Table:
    table = Table(title="Messages over TLS, 10 sessions, 100 messages a connection")
    for heading in ("variant", "accepted/s", "Postfix ms", *(f"{name} ms" for name in DAEMONS)):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for name, one in figures.items():
        cells = [f"{one.daemon_ms(daemon):.2f}" if one.plugins_ms else "" for daemon in DAEMONS]
        table.add_row(name, f"{one.rate:.0f}", f"{one.postfix_ms:.2f}", *cells)
    return table


def _ratios(
    figures: dict[str, Figures], logged_in: dict[str, auth.AuthFigures], memory: dict[str, int]
) -> Table:
    table = Table(title="Ratios, both sides of this run (CPU of whole process groups)")
    for heading in ("work", "measured", "reference", "ratio", "goal"):
        table.add_column(heading, justify="left" if heading == "work" else "right")
    alone, through = figures[ALONE], figures[THROUGH]
    html, features = figures[HTML_ALONE], figures[HTML_FEATURES]
    rows = [
        _login_row("AUTH PLAIN by Postfix, a login a session", logged_in, " by Postfix", "≤ 1.0"),
        _login_row("AUTH PLAIN on one kept connection", logged_in, "", ""),
        _login_row("the same, a server in Python that does nothing", logged_in, " by Postfix", "", "floor"),
        ("pass-through, rate, against Postfix alone", through.rate, alone.rate, "/s", "≥ 0.75"),
        ("the same, a milter and a policy that do nothing", figures[FLOOR].rate, alone.rate, "/s", "floor"),
        (
            "pass-through, plug-ins' CPU, against Postfix's",
            through.plugins_ms,
            alone.postfix_ms,
            "ms",
            "≤ 0.35",
        ),
        (
            "the same, a milter and a policy that do nothing",
            figures[FLOOR].plugins_ms,
            alone.postfix_ms,
            "ms",
            "floor",
        ),
        ("features on HTML, rate, against Postfix alone", features.rate, html.rate, "/s", ""),
        (
            "features on HTML, plug-ins' CPU, against Postfix's",
            features.plugins_ms,
            html.postfix_ms,
            "ms",
            "",
        ),
        *(
            _dkim_row(figures, name, goal)
            for name, goal in ((SIGNED, ""), (ALL_RSA, "≤ 1.0"), (ALL_BOTH, ""))
        ),
        (
            "all features and dkim, rate, against opendkim's",
            figures[ALL_RSA].rate,
            figures[OPENDKIM].rate,
            "/s",
            "",
        ),
    ]
    for work, measured, reference, unit, goal in rows:
        table.add_row(
            work, f"{measured:.3g} {unit}", f"{reference:.3g} {unit}", f"{measured / reference:.2f}", goal
        )
    for name, size in memory.items():
        table.add_row(f"memory of {name}, PSS of the whole daemon", f"{size / 1e6:.0f} MB", "", "", "≤ 60 MB")
    return table


def _dkim_row(figures: dict[str, Figures], name: str, goal: str) -> tuple[str, float, float, str, str]:
    ours, theirs = figures[name].plugins_ms, figures[OPENDKIM].plugins_ms
    return f"{name}, plug-ins' CPU, against opendkim's", ours, theirs, "ms", goal


def _login_row(
    work: str, figures: dict[str, auth.AuthFigures], how: str, goal: str, who: str = "gatepost"
) -> tuple[str, float, float, str, str]:
    ours, dovecot = figures[f"{who}{how}"], figures[f"dovecot{how}"]
    return (f"{work}, CPU, against Dovecot", ours.cpu_ms, dovecot.cpu_ms, "ms", goal)


if __name__ == "__main__":
    main(prog_name="script/bench")
