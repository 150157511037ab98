"""``gatepost event show``: a refusal by its reference."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from gatepost_cli import event_shown, terminal
from gatepost_core.domain import ids, spooled
from gatepost_core.domain.decision.refusals.advice import advice
from gatepost_core.spool import Entry, stream
from gatepost_core.store import events
from tests.core.ingest.world import NOON, World, milliseconds

from .command import Gatepost
from .sent import world

REFERENCE = "K7Q2M9XD"
REPLY = (
    "550 5.7.1 Recipient <bob@example.org> is denied to credential gpx, by its rule example.org "
    f"(ref {REFERENCE})"
)


@pytest.fixture
def node(gatepost: Gatepost) -> Iterator[World]:
    node = world(gatepost)
    yield node
    node.restart_writers()


def refuse(node: World, account: int = 1, recipient: str = "bob@example.org", **more: str | int) -> None:
    detail: dict[str, str | int] = {
        "source": "policy",
        "reference": REFERENCE,
        "credential": "gpx",
        "stage": "RCPT",
        "reply": REPLY,
        "reason": "recipient denied",
        "sender": "alice@example.test",
        "recipients": 0,
        "ip": "192.0.2.7",
        "queue_id": "",
        **more,
    }
    content = spooled.refused(REFERENCE, (account, 7), recipient, NOON, detail)
    entry = Entry(ids.to_bytes(ids.new(milliseconds(NOON))), spooled.VERSION, spooled.REFUSED, content)
    node.write(entry, stream="policy")
    node.take()


def test_a_program_gets_the_event_with_what_to_do(gatepost: Gatepost, node: World) -> None:
    refuse(node)
    told = gatepost("event", "show", REFERENCE, "--json").data
    assert (told["time"], told["type"], told["account"], told["credential"]) == (
        "2026-11-27T12:00:00Z",
        "refused",
        "acme",
        "gpx",
    )
    assert told["detail"]["reply"] == REPLY
    assert told["meaning"] == "the address, or its domain, is one that the credential may not send to"
    assert told["advice"].endswith("'gatepost credential set gpx --deny-recipient …'")


def test_a_person_reads_all_of_it_by_reference_or_by_the_reply_that_was_pasted(
    gatepost: Gatepost, node: World
) -> None:
    refuse(node, last_of_hour=100)
    shown = gatepost("event", "show", REFERENCE).out
    assert gatepost("event", "show", REPLY.lower()).out == shown
    fields = dict(line.split("\t") for line in shown.splitlines())
    assert fields["reference"] == REFERENCE
    assert fields["stage"] == "RCPT, by gatepost-policy"
    assert (fields["recipient"], fields["client"], fields["reply"]) == ("bob@example.org", "192.0.2.7", REPLY)
    assert "the last of 100" in fields["note"]
    assert "queue id" not in fields


def test_on_a_terminal_of_80_columns_no_line_is_longer(node: World) -> None:
    refuse(node, last_of_hour=100)
    with node.backend.journal() as connection:
        (event,) = events.of_reference(connection, REFERENCE)
    file = io.StringIO()
    table = event_shown.facts_of(event, {1: "acme"}, advice(REPLY, "gpx"))
    terminal.show(table, Console(file=file, width=80, color_system=None))
    shown = file.getvalue()
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert REFERENCE in shown
    assert "--deny-recipient" in shown


def test_only_its_own_account_s_is_found_where_an_account_is_asked_for(
    gatepost: Gatepost, node: World
) -> None:
    assert gatepost("account", "add", "beta").code == 0
    refuse(node)
    assert gatepost("event", "show", REFERENCE, "--account", "acme").code == 0
    assert gatepost("event", "show", REFERENCE, "--account", "beta").code == 3
    assert gatepost("event", "show", REFERENCE, "--account", "nobody").code == 3


def test_what_is_not_recorded_or_no_reference_is_told_apart(gatepost: Gatepost) -> None:
    missed = gatepost("event", "show", "AAAAAAAA", "--json")
    assert missed.code == 3
    assert "the log of gatepost-policy or gatepost-milter" in missed.error
    wrong = gatepost("event", "show", "K7Q2M9X0", "--json")
    assert (wrong.code, "expected eight letters and digits" in wrong.error) == (2, True)


def test_what_a_client_sent_moves_no_terminal(gatepost: Gatepost, node: World) -> None:
    refuse(node, recipient="bob\x1b[2J\u202e@example.org")
    assert "\x1b" not in gatepost("event", "show", REFERENCE).out


def test_that_refusals_are_only_logged_is_noted_by_doctor(gatepost: Gatepost) -> None:
    folder = gatepost.folder / "spool"
    folder.mkdir(0o750)

    def notes() -> list[str]:
        told = gatepost("doctor", "--only", "spool", "--json").data["findings"]
        return [one["looked_at"] for one in told if one["status"] == "note"]

    assert notes() == [str(folder / "policy")]
    stream(folder, "policy")
    assert notes() == []
