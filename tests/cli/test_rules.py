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


def test_an_accounts_rules_are_set_shown_and_taken_back(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--max-size", "1M")["username"]
    words = ("--hours", "Mon-Fri 08:00-18:00", "--max-size", "20M", "--deny-recipient", "evil.test")
    account = gatepost("account", "set", "acme", *words, "--json").data
    assert (account["hours"], account["max_size"], account["denied_recipients"]) == (
        ["Mon-Fri 08:00-18:00"],
        20_000_000,
        ["evil.test"],
    )
    shown = gatepost("credential", "show", user, "--json").data
    assert (shown["hours"], shown["max_size"]) == (["Mon-Fri 08:00-18:00"], 1_000_000)
    assert shown["account_rules"] == ["denied_recipients", "hours"]
    assert "Mon-Fri 08:00-18:00, by its account" in gatepost("credential", "show", user).out
    freed = gatepost("credential", "set", user, "--hours", "none", "--max-size", "default", "--json").data
    assert (freed["hours"], freed["max_size"]) == ([], 20_000_000)
    assert freed["account_rules"] == ["denied_recipients", "max_size"]
    kept = gatepost("credential", "set", user, "--min-tls", "1.3", "--json").data
    assert (kept["hours"], kept["min_tls"]) == ([], "1.3")
    back = gatepost("account", "set", "acme", "--hours", "none", "--max-size", "none", "--json").data
    assert (back["hours"], back["max_size"], back["denied_recipients"]) == ([], None, ["evil.test"])
    assert gatepost("credential", "show", user, "--json").data["max_size"] is None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--max-recipients", "0"], "'0' is no number of recipients; expected 1 to 1000000"),
        (["--max-size", "big"], "'big' is no size; expected bytes, or something like 500K or 20M"),
        (["--min-tls", "1.1"], "'1.1' is no version of TLS to ask for; expected 1.2 or 1.3"),
        (["--hours", "Mon-Fri 8-18"], "'Mon-Fri 8-18' is no time of the week; expected days, times or both"),
        (["--deny-recipient", "default", "--deny-recipient", "x.test"], "default stands alone"),
    ],
)
def test_what_is_no_value_is_named_wherever_it_is_set(
    gatepost: Gatepost, words: list[str], text: str
) -> None:
    for command in (("account", "set", "acme"), ("credential", "add", "--account", "acme")):
        result = gatepost(*command, "--json", *words)
        assert (result.code, result.out) == (2, "")
        assert text in result.error
