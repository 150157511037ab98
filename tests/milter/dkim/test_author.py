"""The author's signatures when mail is edited all the same: those that the edits break go, others stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost_core.domain import Options
from gatepost_milter.editing.headers import Header
from gatepost_milter.editing.message import Message, Plan, outcome
from gatepost_milter.pipeline import process
from tests.milter.making import context, html_message

COVERS_SUBJECT = b" v=1; a=rsa-sha256; d=a.test; h=From : Subject;\n\tb=x; bh=y"
COVERS_MAILER = b" v=1; d=b.test; h=from:X-\n\tMailer; b=x"
COVERS_UNSUBSCRIBE = b" v=1; h=from:list-unsubscribe; b=x"
UNREADABLE = b" rubbish"
ALL = (COVERS_SUBJECT, COVERS_MAILER, COVERS_UNSUBSCRIBE, UNREADABLE)


def planned(features: tuple[str, ...], *signatures: bytes) -> tuple[Plan, list[bytes]]:
    """Return the plan and the signatures that stay."""
    plain = html_message("<p>x")
    own = tuple(Header(b"DKIM-signature", value) for value in signatures)
    msg = Message((*own, *plain.headers, Header(b"X-Mailer", b" x")), plain.body)
    plan = process(msg, replace(context(*features), options=Options(edit_signed=True)))
    assert isinstance(plan, Plan)
    left = outcome(msg, plan).headers
    return plan, [header.value for header in left if header.name.lower() == b"dkim-signature"]


@pytest.mark.parametrize(
    ("features", "left"),
    [
        (("privacy",), [COVERS_SUBJECT, COVERS_UNSUBSCRIBE]),
        (("unsubscribe",), [COVERS_SUBJECT, COVERS_MAILER]),
        (("trackopens",), []),
    ],
)
def test_signatures_go_by_what_they_cover(features: tuple[str, ...], left: list[bytes]) -> None:
    plan, stay = planned(features, *ALL)
    assert stay == left
    assert plan.applied[-1] == "edit_signed"
    gone = len(ALL) - len(stay)
    assert plan.notes == (f"{gone} DKIM signature(s) of the author's removed: the edits break them",)


def test_what_breaks_nothing_leaves_every_signature_that_can_be_read() -> None:
    plan, stay = planned(("trackclicks",), COVERS_SUBJECT, COVERS_MAILER)
    assert stay == [COVERS_SUBJECT, COVERS_MAILER]
    assert (plan.applied, plan.notes) == ((), ())
