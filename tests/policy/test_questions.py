"""The decisions, on values alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.domain import (
    AUTHENTICATION_REQUIRED,
    Claim,
    Credential,
    Decision,
    Options,
    Pass,
    Reject,
    Rules,
    StoreUnavailable,
    WallMode,
)
from gatepost_core.domain.rules import TLS_REQUIRED
from gatepost_core.domain.suppressing import Reason, Suppression
from gatepost_core.domain.walls import Walls
from gatepost_core.keys.tokens import Origin
from gatepost_core.serving import Close, Send
from gatepost_policy.protocol import Request
from gatepost_policy.questions import NOT_ASKED, Questions
from gatepost_policy.session import PolicySession
from tests.core.making import credential

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Directory:
    """Knows bob, old (expired a second ago), soon (expires in a second), one bounce domain, and a domain
    of another account."""

    def __init__(self, *, down: bool = False, mode: WallMode = WallMode.ENFORCE) -> None:
        self.down = down
        self.mode = mode
        self.suppressed: list[Suppression] = []

    def credential(self, username: str) -> Credential | None:
        if self.down:
            raise StoreUnavailable("no such file")
        known = {"bob": None, "old": NOW - timedelta(seconds=1), "soon": NOW + timedelta(seconds=1)}
        if username not in known:
            return None
        rules = Rules(("bob.test", "taken.bob.test"))
        return credential(username=username, rules=rules, expires_at=known[username])

    def bounce_domain(self, name: str) -> bool:
        if self.down:
            raise StoreUnavailable("no such file")
        return name == "b.example.test"

    def claims(self, name: str) -> tuple[Claim, ...]:
        return (Claim("taken.bob.test", frozenset({2})),) if name.endswith("taken.bob.test") else ()

    def suppressions(self, account_id: int, credential: str, keys: Sequence[str]) -> list[Suppression]:
        known = [one for one in self.suppressed if one.account_id == account_id]
        return [one for one in known if one.address in keys and one.credential in ("", credential)]

    def walls(self) -> WallMode:
        return self.mode


class Tokens:
    """Takes ``good`` for message m1."""

    def verify(self, local_part: str, host: str) -> Origin | None:
        return Origin(host, 1, "m1") if local_part.lower() == "good" else None


def questions(*, down: bool = False, mode: WallMode = WallMode.ENFORCE) -> Questions:
    directory = Directory(down=down, mode=mode)
    return Questions(directory, Tokens(), (25, 2525), lambda: NOW, Walls(directory))


def request(**attributes: str) -> Request:
    return {
        "request": "smtpd_access_policy",
        "protocol_state": "RCPT",
        "server_port": "587",
        "sasl_username": "bob",
        "sender": "info@bob.test",
        "recipient": "carol@example.org",
        "encryption_protocol": "TLSv1.3",
        **attributes,
    }


def bounce(recipient: str, port: str = "25", state: str = "RCPT") -> Request:
    return request(sasl_username="", sender="", recipient=recipient, server_port=port, protocol_state=state)


@pytest.mark.parametrize("recipient", ["good@b.example.test", "GOOD@B.Example.Test", "good@b.example.test."])
@pytest.mark.parametrize("port", ["25", "2525"])
@pytest.mark.parametrize("state", ["RCPT", "DATA"])
def test_a_bounce_with_a_valid_token_comes_in_without_a_login(recipient: str, port: str, state: str) -> None:
    assert questions().decide(bounce(recipient, port, state)) == Pass("bounce of message m1")


@pytest.mark.parametrize("encryption", ["", "TLSv1.3"])
def test_several_recipients_without_a_login_are_refused_at_data_as_nobody_can_tell_who_they_are(
    encryption: str,
) -> None:
    asked = {**bounce("", state="DATA"), "recipient_count": "2", "encryption_protocol": encryption}
    refused = questions().decide(asked)
    assert str(refused).startswith("530 5.7.0 Authentication required")
    assert refused.reason == "no login, several recipients"


@pytest.mark.parametrize(
    "asked",
    [
        bounce("good@b.example.test", port="587"),
        bounce("bad@b.example.test"),
        bounce("good@elsewhere.test"),
        bounce("good"),
        bounce(""),
        bounce("good@b.example.test@elsewhere.test"),
        bounce("", port="587", state="DATA"),
        bounce("postmaster", state="DATA"),
        bounce("double-bounce@mx.example.test", state="DATA"),
        bounce("bad@b.example.test", state="DATA"),
        bounce("good@b.example.test", port="587", state="DATA"),
    ],
)
def test_anything_else_without_a_login_must_log_in_first(asked: Request) -> None:
    assert questions().decide(asked) == AUTHENTICATION_REQUIRED
    assert questions().decide({**asked, "encryption_protocol": ""}) == TLS_REQUIRED


def test_a_request_without_a_port_takes_no_bounces() -> None:
    asked = dict(bounce("good@b.example.test"))
    del asked["server_port"]
    assert questions().decide(asked) == AUTHENTICATION_REQUIRED


def test_expiry_counts_from_the_second_on_at_rcpt_and_data() -> None:
    for state in ("RCPT", "DATA"):
        refused = questions().decide(request(sasl_username="old", protocol_state=state))
        assert isinstance(refused, Reject)
        assert refused.reason == "credential expired"
        assert isinstance(questions().decide(request(sasl_username="soon", protocol_state=state)), Pass)


@pytest.mark.parametrize("state", ["RCPT", "DATA"])
def test_the_envelope_sender_is_held_to_the_rules_at_rcpt_and_data(state: str) -> None:
    refused = questions().decide(request(sender="info@other.test", protocol_state=state))
    assert isinstance(refused, Reject)
    assert refused.reason == "envelope sender not allowed"


@pytest.mark.parametrize("state", ["RCPT", "DATA"])
def test_another_accounts_domain_is_refused_in_the_envelope_whatever_the_senders_say(state: str) -> None:
    asked = request(sender="info@Taken.Bob.TEST.", protocol_state=state)
    refused = questions().decide(asked)
    assert isinstance(refused, Reject)
    assert str(refused) == (
        "550 5.7.1 Sender address <info@Taken.Bob.TEST.> is of a domain that another account registered; "
        "credential bob may not use it"
    )
    passed = questions(mode=WallMode.REPORT).decide(asked)
    assert isinstance(passed, Pass)
    assert "would be refused: 550 5.7.1 Sender address <info@Taken.Bob.TEST.>" in passed.reason


@given(st.dictionaries(st.text(max_size=10), st.text(max_size=20)), st.text(max_size=20))
def test_other_states_never_refuse_whatever_else_is_asked(attributes: dict[str, str], state: str) -> None:
    if state not in ("RCPT", "DATA"):
        assert questions(down=True).decide({**attributes, "protocol_state": state}) is NOT_ASKED


def test_a_store_that_is_down_hangs_up_and_is_reported_once() -> None:
    reports: list[tuple[Decision | None, str]] = []
    session = PolicySession(
        questions(down=True),
        lambda _, decision, reason: reports.append((decision, reason)),
        lambda _, refused: refused,
    )
    raw = "".join(f"{name}={value}\n" for name, value in request().items()).encode() + b"\n"
    assert list(session.receive(raw, 0.0)) == [Close("no answer: no such file", fault=True)]
    assert reports == [(None, "no such file")]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([b"\n", b"request=smtpd_access_policy\nprotocol_state=RCPT\n", b"sender=\xff\n"]),
        )
    )
)
def test_any_bytes_in_any_pieces_never_raise(pieces: list[bytes]) -> None:
    session = PolicySession(questions(), lambda *_: None, lambda _, refused: refused)
    for piece in pieces:
        outputs = session.receive(piece, 0.0)
        assert all(output.data.startswith(b"action=") for output in outputs if isinstance(output, Send))
        if any(isinstance(output, Close) for output in outputs):
            return


@pytest.mark.parametrize("recipient", ["carol@example.org", "Carol@EXAMPLE.org.", '"carol"@example.org'])
def test_a_suppressed_recipient_is_refused_with_time_reason_and_how_to_lift_it(recipient: str) -> None:
    asked = questions()
    asked._directory.suppressed += [  # type: ignore[attr-defined]  # the fake above
        Suppression(1, "carol@example.org", Reason.BOUNCE, NOW, detail="550 5.1.1 no such user")
    ]
    refused = asked.decide(request(recipient=recipient))
    assert str(refused) == (
        "550 5.7.1 Suppressed since 2026-01-01T00:00:00Z, reason bounce (550 5.1.1 no such user); your mail "
        "administrator can lift it: gatepost suppression remove carol@example.org --account acme"
    )
    assert isinstance(asked.decide(request(recipient="dan@example.org")), Pass)
    assert isinstance(asked.decide(request(recipient=recipient, protocol_state="DATA")), Pass)


def test_other_refusals_come_before_that_of_a_suppressed_recipient() -> None:
    asked = questions()
    asked._directory.suppressed += [  # type: ignore[attr-defined]
        Suppression(1, "carol@example.org", Reason.MANUAL, NOW)
    ]
    assert "is not allowed" in str(asked.decide(request(sender="x@elsewhere.test")))


def test_an_opt_out_stops_no_mail_that_its_recipient_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = questions()
    made = credential(username="bob", rules=Rules(("bob.test",)), options=Options(transactional=True))
    monkeypatch.setattr(asked._directory, "credential", lambda _name: made)
    suppressed = asked._directory.suppressed  # type: ignore[attr-defined]
    suppressed.append(Suppression(1, "carol@example.org", Reason.UNSUBSCRIBE, NOW))
    assert isinstance(asked.decide(request()), Pass)
    suppressed.append(Suppression(1, "example.org", Reason.COMPLAINT, NOW))
    assert "reason complaint" in str(asked.decide(request()))
