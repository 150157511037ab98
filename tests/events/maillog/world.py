"""Lines as Postfix writes them, and a reading of them."""

from __future__ import annotations

from datetime import UTC, datetime

from gatepost_core.domain.outcomes import Told
from gatepost_events.maillog.lines import Reader
from gatepost_events.maillog.parsing import parse
from gatepost_events.maillog.tracing import Tracing

NOW = datetime(2026, 11, 28, 5, 30, tzinfo=UTC)
ONE, TWO = "4jbzB45FjKzJB9Y", "4jbzB45K3RzJ9QJ"
READER = Reader(("postfix",), UTC)


def line(program: str, text: str, second: int = 56) -> str:
    return f"Nov 28 05:19:{second:02d} mail postfix/{program}[28313]: {text}"


def active(number: str = ONE, recipients: int = 1, second: int = 56) -> str:
    return line(
        "qmgr", f"{number}: from=<a@example.test>, size=395, nrcpt={recipients} (queue active)", second
    )


def removed(number: str = ONE, second: int = 56) -> str:
    return line("qmgr", f"{number}: removed", second)


def outcome(to: str = "bob@example.org", status: str = "sent", number: str = ONE, **more: str) -> str:
    given = {"dsn": {"sent": "2.0.0", "bounced": "5.1.1"}.get(status, "4.4.1"), "said": "250 2.0.0 Ok"} | more
    original = f"orig_to=<{given['original']}>, " if "original" in given else ""
    return line(
        given.get("program", "smtp"),
        f"{number}: to=<{to}>, {original}relay=mx.example.org[192.0.2.1]:25, delay=0.06, "
        f"delays=0.03/0.02/0/0.01, dsn={given['dsn']}, status={status} ({given['said']})",
        int(given.get("second", "57")),
    )


def feed(tracing: Tracing, *lines: str) -> list[Told]:
    """Feed lines; return what they told."""
    before = len(tracing.told)
    for text in lines:
        found = READER.read(text, NOW)
        assert found is not None, text
        entry = parse(found.program, found.text)
        if entry is not None:
            tracing.feed(found, entry)
    return tracing.told[before:]


def restarted(tracing: Tracing, kept: dict[str, str]) -> Tracing:
    """Return what reads on after a commit and a restart; ``kept`` is the store's, and changes."""
    changed, gone = tracing.changes()
    tracing.committed()
    kept.update(changed)
    for number in gone:
        del kept[number]
    return Tracing(kept)
