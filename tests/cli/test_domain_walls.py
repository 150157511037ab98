"""``gatepost domain grant``, ``revoke``, ``walls``, and which names ``domain add`` refuses."""

from __future__ import annotations

import pytest

from .command import Gatepost


@pytest.fixture
def two(gatepost: Gatepost) -> Gatepost:
    """acme has acme.test, beta has nothing yet."""
    assert gatepost("account", "add", "beta").code == 0
    assert gatepost("domain", "add", "acme.test", "--account", "acme").code == 0
    return gatepost


def test_a_grant_is_made_once_shown_and_taken_back(two: Gatepost) -> None:
    first = two("domain", "grant", "Acme.TEST", "--to", "beta", "--json")
    assert (first.code, first.data) == (0, {"domain": "acme.test", "account": "beta", "changed": True})
    again = two("domain", "grant", "acme.test", "--to", "beta", "--json")
    assert (again.code, again.data["changed"]) == (0, False)
    assert two("domain", "show", "acme.test", "--json").data["grants"] == ["beta"]
    assert "granted to\tbeta" in two("domain", "show", "acme.test").out
    assert two("domain", "list", "--json").data[0]["grants"] == ["beta"]
    assert two("domain", "list").out.splitlines()[1].endswith("\tbeta")
    assert two("domain", "revoke", "acme.test", "--from", "beta").code == 0
    assert two("domain", "show", "acme.test", "--json").data["grants"] == []
    gone = two("domain", "revoke", "acme.test", "--from", "beta", "--json")
    assert gone.code == 3
    assert "'acme.test' is not granted to account 'beta'" in gone.error


@pytest.mark.parametrize(
    ("name", "account", "code", "said"),
    [
        ("nobody.test", "beta", 3, "no sender domain 'nobody.test'"),
        ("acme.test", "nobody", 3, "no account 'nobody'"),
        ("acme.test", "acme", 2, "account 'acme' owns 'acme.test'"),
    ],
)
def test_what_cannot_be_granted_is_named(
    two: Gatepost, name: str, account: str, code: int, said: str
) -> None:
    result = two("domain", "grant", name, "--to", account, "--json")
    assert result.code == code
    assert said in result.error


def test_a_grant_goes_with_its_domain_and_with_its_account(two: Gatepost) -> None:
    """Whoever registers the name next has granted it to nobody."""
    two("domain", "grant", "acme.test", "--to", "beta")
    two("domain", "remove", "acme.test", "--yes")
    assert two("domain", "add", "acme.test", "--account", "acme", "--json").data["grants"] == []
    two("domain", "grant", "acme.test", "--to", "beta")
    assert two("account", "remove", "beta").code == 0
    two("account", "add", "gamma")
    assert two("domain", "show", "acme.test", "--json").data["grants"] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["beta.test", "--click-domain", "click.acme.test"],
            "click domain click.acme.test lies in acme.test",
        ),
        (["beta.test", "--bounce-domain", "bounces.acme.test"], "which account acme registered"),
        (["bounces.acme.test"], "sender domain bounces.acme.test is the bounce domain"),
    ],
)
def test_another_accounts_names_cannot_be_registered(two: Gatepost, words: list[str], said: str) -> None:
    result = two("domain", "add", *words, "--account", "beta", "--json")
    assert result.code == 1
    assert said in result.error
    assert "gatepost domain grant" in result.error
    assert [one["name"] for one in two("domain", "list", "--json").data] == ["acme.test"]


def test_a_name_below_another_accounts_can_be_registered_and_then_wins(two: Gatepost) -> None:
    assert two("domain", "add", "news.acme.test", "--account", "beta").code == 0


@pytest.mark.parametrize("words", [["co.uk"], ["a.co.uk", "--bounce-domain", "github.io"]])
def test_a_public_suffix_cannot_be_registered(gatepost: Gatepost, words: list[str]) -> None:
    result = gatepost("domain", "add", *words, "--account", "acme", "--json")
    assert result.code == 2
    assert "is a public suffix: names below it belong to different people" in result.error


def test_the_gateways_own_names_are_the_operators_to_give(two: Gatepost) -> None:
    own = ("--set", "postfix.hostname=mx.gw.test", "--set", "tracking.click_domain=click.gw.test")
    for words in (["mx.gw.test"], ["beta.test", "--bounce-domain", "b.mx.gw.test"], ["click.gw.test"]):
        refused = two(*own, "domain", "add", *words, "--account", "beta", "--json")
        assert refused.code == 2
        assert "which belongs to the operator" in refused.error
    words = ["gw.test", "--click-domain", "go.gw.test"]
    assert two(*own, "domain", "add", *words, "--account", "beta").code == 0
    assert two(*own, "domain", "grant", "mx.gw.test", "--to", "beta").code == 0
    assert "mx.gw.test\tthe gateway's own, granted to beta" in two(*own, "domain", "walls").out
    assert two(*own, "domain", "walls", "--json").data["own_names_granted"] == {"mx.gw.test": ["beta"]}
    assert two(*own, "domain", "add", "mx.gw.test", "--account", "beta", "--gateway-name").code == 0


def test_walls_are_shown_and_set_and_the_setting_has_the_last_word(gatepost: Gatepost) -> None:
    assert gatepost("domain", "walls", "--json").data == {
        "walls": "enforce",
        "store": "enforce",
        "setting": "store",
        "own_names_granted": {},
    }
    assert gatepost("domain", "walls", "report", "--json").data["walls"] == "report"
    assert (
        "in force\treport: mail that uses another account's domain passes" in gatepost("domain", "walls").out
    )
    shown = gatepost("--set", "accounts.walls=enforce", "domain", "walls", "--json").data
    assert (shown["walls"], shown["store"], shown["setting"]) == ("enforce", "report", "enforce")
    assert gatepost("domain", "walls", "maybe").code == 2


def test_a_sender_that_walls_refuse_is_told_as_soon_as_it_is_named(two: Gatepost) -> None:
    """Otherwise the first message would tell."""
    words = ("credential", "add", "--account", "beta", "--sender", "beta.test", "--sender", "*.acme.test")
    told = two(*words).err
    assert "*.acme.test is of a domain that another account registered" in told
    assert "'gatepost domain grant NAME --to beta'" in told
    assert "beta.test is of" not in told.replace("*.acme.test", "")
    user = two("credential", "list", "--json").data[0]["username"]
    assert "*.acme.test is of a domain" in two("credential", "set", user, "--sender", "*.acme.test").err
    two("domain", "grant", "acme.test", "--to", "beta")
    assert "*.acme.test is of" not in two("credential", "set", user, "--sender", "*.acme.test").err


def test_credential_test_says_what_may_be_sent_and_what_not(two: Gatepost) -> None:
    words = ("credential", "add", "--account", "beta", "--json", "--sender", "b@beta.test", "--sender")
    made = two(*words, "b@acme.test").data
    tried = ("credential", "test", made["username"], "--password-stdin")
    assert two.process(*tried, "--json", stdin=made["password"]).data["closed_senders"] == ["b@acme.test"]
    assert "but not as\tb@acme.test" in two.process(*tried, stdin=made["password"]).out
    two("domain", "walls", "report")
    assert two.process(*tried, "--json", stdin=made["password"]).data["closed_senders"] == []


def test_explain_says_what_walls_refuse_or_would_refuse(two: Gatepost) -> None:
    user = two("credential", "add", "--account", "beta", "--json").data["username"]
    mail = two.folder / "mail.eml"
    mail.write_text("From: boss@acme.test\nTo: r@example.org\nSubject: s\n\nbody\n")
    refused = two("explain", str(mail), "--credential", user, "--json")
    assert not refused.data["accepted"]
    assert "is of a domain that another account registered" in refused.data["answers"][0]["reply"]
    envelope = two("explain", str(mail), "--credential", user, "--from", "b@beta.test", "--json").data[
        "answers"
    ]
    assert [answer["accepted"] for answer in envelope] == [True, True, False]
    assert "From header address <boss@acme.test> is of a domain" in envelope[-1]["reply"]
    two("domain", "walls", "report")
    told = two("explain", str(mail), "--credential", user, "--json").data
    assert told["accepted"]
    assert "walls: would be refused: acme.test is another account's" in told["notes"]
