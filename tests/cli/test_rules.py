"""Rules on the command line: what is written is shown, kept, and lifted again."""

from __future__ import annotations

import pytest

from .command import Gatepost


def test_recipients_are_set_shown_and_lifted(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--recipient", "Bob@Example.org", "--recipient", "*.b.test")["username"]
    shown = gatepost("credential", "show", user, "--json").data
    assert (shown["recipients"], shown["denied_recipients"]) == (["bob@example.org", "*.b.test"], [])
    changed = gatepost("credential", "set", user, "--deny-recipient", "exämple.test", "--json").data
    assert (changed["recipients"], changed["denied_recipients"]) == (
        ["bob@example.org", "*.b.test"],
        ["xn--exmple-cua.test"],
    )
    assert "xn--exmple-cua.test" in gatepost("credential", "show", user).out
    lifted = gatepost("credential", "set", user, "--recipient", "none", "--json").data
    assert (lifted["recipients"], lifted["denied_recipients"]) == ([], ["xn--exmple-cua.test"])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--recipient", "a b@x.test"], "'a b@x.test' cannot be used as a recipient; expected an address"),
        (["--deny-recipient", "*"], "'*' cannot be used as a recipient; expected an address"),
        (["--recipient", "none", "--recipient", "x.test"], "none stands alone, and there is 'x.test'"),
    ],
)
def test_what_is_no_recipient_is_named_and_nothing_is_made(
    gatepost: Gatepost, words: list[str], text: str
) -> None:
    result = gatepost("credential", "add", "--account", "acme", "--json", *words)
    assert (result.code, result.out) == (2, "")
    assert text in result.error


def test_explain_says_who_may_not_be_sent_to(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--recipient", "example.org")["username"]
    mail = gatepost.folder / "message.eml"
    mail.write_text("From: <a@example.test>\nTo: <bob@example.org>, <bob@elsewhere.test>\n\nHello.\n")
    found = gatepost("explain", str(mail), "--credential", user, "--json")
    answers = {one["stage"]: one["reply"] for one in found.data["answers"]}
    assert answers["RCPT <bob@example.org>"] == ""
    assert answers["RCPT <bob@elsewhere.test>"] == (
        f"550 5.7.1 Recipient <bob@elsewhere.test> is not among those that credential {user} may send to"
    )
    assert found.data["accepted"], found.data
