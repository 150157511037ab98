"""What an account hears of bounces, set by ``gatepost account set``."""

from __future__ import annotations

from .command import Gatepost


def test_what_an_account_hears_is_set_and_shown(gatepost: Gatepost) -> None:
    assert "bounces\tevents" in gatepost("account", "show", "acme").out
    for way in ("forward", "ignore", "events"):
        assert gatepost("account", "set", "acme", "--bounces", way, "--json").data["bounces"] == way
        assert gatepost("account", "show", "acme", "--json").data["bounces"] == way
    assert gatepost("account", "add", "beta", "--bounces", "forward").code == 0
    assert gatepost("account", "show", "beta", "--json").data["bounces"] == "forward"
    refused = gatepost("account", "set", "acme", "--bounces", "elsewhere")
    assert refused.code == 2
    assert "'events', 'forward', 'ignore'" in refused.err
