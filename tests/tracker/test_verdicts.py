"""Machine or person: each row of the table, and what real programs say of themselves."""

from __future__ import annotations

import ipaddress
import re
import tomllib
from pathlib import Path

import pytest

from gatepost_core.store.ingest import verdicts as verdicts_of_store
from gatepost_core.store.ingest.verdicts import VERDICT
from gatepost_tracker import verdicts
from gatepost_tracker.verdicts import BURST, PERSON, PREFETCH, UNKNOWN, Bursts, Table
from tests.steps import World, assert_linear
from tests.tracker.test_clicks import Tracker, link, running

FILE = Path(verdicts.__file__).with_suffix(".toml")
CONTENT = tomllib.loads(FILE.read_text(encoding="utf-8"))
TABLE = verdicts.load()
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
OUTLOOK = "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17531; Pro)"


def agents() -> list[tuple[str, str, str, str]]:
    """Return for each text of an agent and each type: the agent, type, verdict and reason."""
    found = []
    for row in CONTENT["agent"]:
        for type_ in row.get("of", ["clicked", "opened"]):
            whole = [(text, row) for text in row.get("is", ())]
            parts = [(f"Mozilla/5.0 (compatible; {text}) x", row) for text in row.get("has", ())]
            found += [(text, type_, one["verdict"], one["reason"]) for text, one in whole + parts]
    return found


@pytest.mark.parametrize(("agent", "type_", "verdict", "reason"), agents())
def test_each_agent_of_the_table_is_what_its_row_says(
    agent: str, type_: str, verdict: str, reason: str
) -> None:
    # In any case of letters, and from wherever it asks.
    assert TABLE.judge(type_, agent, "192.0.2.1") == (verdict, reason)
    assert TABLE.judge(type_, agent.upper(), "") == (verdict, reason)


@pytest.mark.parametrize("row", CONTENT["network"], ids=lambda row: row["reason"])
def test_each_network_of_the_table_is_what_its_row_says_up_to_its_ends(row: dict[str, list[str]]) -> None:
    of = row.get("of", ["clicked", "opened"])
    for text in row["networks"]:
        network = ipaddress.ip_network(text)
        for address in (network[0], network[-1]):
            for type_ in ("clicked", "opened"):
                expected = (row["verdict"], row["reason"]) if type_ in of else PERSON
                assert TABLE.judge(type_, BROWSER, str(address)) == expected
                if network.version == 4:
                    assert TABLE.judge(type_, BROWSER, f"::ffff:{address}") == expected


def test_no_network_holds_another_and_the_file_says_when_and_where_from_it_was_made() -> None:
    networks = [ipaddress.ip_network(text) for row in CONTENT["network"] for text in row["networks"]]
    for number, one in enumerate(networks):
        assert not any(one.version == other.version and one.overlaps(other) for other in networks[:number])
    assert re.search(r"Gathered on 20\d\d-\d\d-\d\d", FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("type_", "agent", "expected"),
    [
        ("opened", "Mozilla/5.0", ("proxy", "apple: Mail Privacy Protection")),
        ("clicked", "Mozilla/5.0", PERSON),
        ("opened", GMAIL, ("proxy", "gmail: image proxy")),
        ("opened", YAHOO, ("proxy", "yahoo: image proxy")),
        ("opened", IPHONE, PERSON),
        ("opened", OUTLOOK, PERSON),
        ("clicked", BROWSER, PERSON),
        ("clicked", f"{BROWSER} CUBOT)", PERSON),
        ("clicked", "curl/8.5.0", ("scanner", "a program, no browser")),
        ("opened", "curl/8.5.0", UNKNOWN),
        ("clicked", "", UNKNOWN),
        ("clicked", "Mail 1.0", UNKNOWN),
    ],
)
def test_what_real_programs_say(type_: str, agent: str, expected: tuple[str, str]) -> None:
    assert TABLE.judge(type_, agent, "192.0.2.1") == expected
    assert TABLE.judge(type_, agent, "no address") == expected
    assert TABLE.judge(type_, agent, "192.0.2.1", ahead=True) == PREFETCH


@pytest.mark.parametrize(
    "row",
    [
        {"verdict": "person", "reason": "x", "has": ["a"]},
        {"verdict": "proxy", "reason": "x"},
        {"verdict": "proxy", "reason": "x", "has": ["Upper"]},
        {"verdict": "proxy", "reason": "x", "has": ["a"], "of": ["bounced"]},
    ],
)
def test_a_row_that_says_nothing_is_refused(row: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a row of verdicts"):
        Table({"agent": [row]})


def test_several_links_of_one_message_within_seconds_are_no_person_s() -> None:
    bursts = Bursts()
    links = [("m", "a", 0.0), ("m", "a", 1.0), ("m", "b", 1.5), ("other", "c", 2.0), ("m", "c", 2.5)]
    assert [bursts.too_many(*one) for one in links] == [False, False, False, False, True]
    assert bursts.too_many("m", "d", 3.0)
    assert (Bursts.LINKS, Bursts.SECONDS, BURST) == (
        verdicts_of_store.LINKS,
        verdicts_of_store.SECONDS,
        VERDICT,
    )
    assert not bursts.too_many("m", "e", 20.0)
    for number in range(25_000):  # of very many messages the first are forgotten
        bursts.too_many(str(number), "a", 30.0)
        bursts.too_many(str(number), "b", 30.0)
    assert [bursts.too_many(number, "c", 30.0) for number in ("24999", "0")] == [True, False]


def test_a_click_has_its_verdict_and_leads_on_whatever_it_is(tmp_path: Path) -> None:
    for tracker in running(tmp_path, "tracker.proxies=127.0.0.0/8"):
        asked = [
            ("/one", BROWSER, "192.0.2.1", PERSON),
            ("/one", GMAIL, "192.0.2.1", ("proxy", "gmail: image proxy")),
            ("/one", BROWSER, "67.231.144.9", ("scanner", "proofpoint")),
            ("/two", BROWSER, "192.0.2.1", PERSON),
            ("/three", BROWSER, "192.0.2.1", BURST),
        ]
        for path, agent, client, _ in asked:
            target = link(tracker.store, path)
            assert tracker.ask(target, User_Agent=agent, X_Forwarded_For=client).status == 302
        assert told(tracker) == [expected for *_, expected in asked]


def told(tracker: Tracker) -> list[tuple[str, str]]:
    return [(detail["verdict"], detail["reason"]) for _, _, detail in tracker.events()]


def test_agents_and_addresses_are_judged_in_linear_time(world: World) -> None:
    module = world.load("gatepost_tracker.verdicts")
    judge = module.load().judge
    for piece in ("mozilla/", "bot", "via ggpht.com", "é"):
        assert_linear(world, lambda n, piece=piece: piece * n, lambda agent: judge("opened", agent, "::1"))  # type: ignore[misc]
    assert_linear(world, lambda n: "1." * n, lambda address: judge("clicked", "", address))
