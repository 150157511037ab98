"""Routes on the command line: given to credentials and accounts, shown, and refused where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from .command import Gatepost


@pytest.fixture
def gatepost(gatepost: Gatepost) -> Gatepost:
    with gatepost.config.open("a") as file:
        file.write(
            '[routes.bulk]\nbind_address = "192.0.2.7"\n[routes.partner]\nnext_hop = "[smtp.example]:587"\n'
        )
    return gatepost


def test_a_route_is_given_shown_and_taken_back(gatepost: Gatepost) -> None:
    user = gatepost.add_credential("--route", "bulk")["username"]
    assert gatepost("credential", "show", user, "--json").data["route"] == "bulk"
    assert "route\tbulk" in gatepost("credential", "show", user).out
    for route in ("none", "default"):
        assert gatepost("credential", "set", user, "--route", route, "--json").data["route"] == route
    assert gatepost("account", "set", "acme", "--route", "partner", "--json").data["route"] == "partner"
    assert "route\tpartner" in gatepost("account", "show", "acme").out
    assert gatepost("account", "set", "acme", "--route", "none", "--json").data["route"] is None


def test_a_route_that_the_settings_do_not_have_is_refused_by_name(gatepost: Gatepost) -> None:
    user = gatepost.add_credential()["username"]
    for words in (["credential", "set", user], ["account", "set", "acme"], ["account", "add", "other"]):
        refused = gatepost(*words, "--route", "bluk")
        assert refused.code == 2
        assert "the settings have no [routes.bluk]; known are bulk, partner" in refused.err
    assert gatepost("account", "show", "other").code == 3


def test_explain_and_settings_show_it(gatepost: Gatepost, tmp_path: Path) -> None:
    user = gatepost.add_credential("--route", "partner")["username"]
    file = tmp_path / "message.eml"
    file.write_text("From: a@example.test\nTo: b@example.org\n\nHello.\n")
    answers = gatepost("explain", str(file), "--credential", user, "--json").data["answers"]
    (reason,) = [one["reason"] for one in answers if one["stage"] == "DATA"]
    assert reason.endswith("route partner")
    settings = gatepost("settings", "--json").data
    assert settings["routes.partner.next_hop"]["value"] == "[smtp.example]:587"
    assert "routes.partner.next_hop" in gatepost("settings").out
