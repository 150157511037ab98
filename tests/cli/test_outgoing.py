"""What the queue tells of port 25 on the way out."""

from __future__ import annotations

from typing import Any

from gatepost_cli.checks.outgoing import unanswered

SILENT = [f"connect to mx.{name}.test[192.0.2.{n}]:25: Connection timed out" for n, name in enumerate("abc")]


def queued(*reasons: str) -> list[dict[str, Any]]:
    """Messages as postqueue -j has them; one without a reason is on its way."""
    return [{"recipients": [{"address": "a@b.test", "delay_reason": reason}]} for reason in reasons] + [
        {"recipients": [{"address": "a@b.test"}]}
    ]


def test_servers_that_do_not_answer_are_counted_each_once() -> None:
    assert unanswered(queued(*SILENT, *SILENT)) == {"mx.a.test", "mx.b.test", "mx.c.test"}


def test_a_server_that_answered_shows_that_the_port_is_open() -> None:
    greylisted = "host mx.d.test[192.0.2.9] said: 450 4.2.0 greylisted (in reply to RCPT TO command)"
    assert unanswered(queued(*SILENT, greylisted)) == set()


def test_other_faults_say_nothing_of_port_25() -> None:
    others = [
        "connect to mx.a.test[192.0.2.1]:25: Connection refused",
        "connect to relay.test[192.0.2.1]:587: Connection timed out",
        "Host or domain name not found. Name service error for name=a.test type=MX: try again",
        "connect to mx.a.test[2001:db8::1]:25: Network is unreachable",
    ]
    assert unanswered(queued(*others)) == set()
