"""How long an account's messages are kept, set by ``gatepost account set``."""

from __future__ import annotations

import pytest

from .command import Gatepost


def test_days_are_set_shown_and_lifted(gatepost: Gatepost) -> None:
    assert "messages kept\tfor good, by store.keep_days" in gatepost("account", "show", "acme").out
    data = gatepost("account", "set", "acme", "--keep-days", "30", "--json").data
    assert (data["keep_days"], data["keep_days_set"]) == (30, 30)
    assert gatepost("account", "show", "acme", "--json").data == data
    assert "messages kept\tfor 30 days, set for this account" in gatepost("account", "show", "acme").out
    lifted = gatepost(
        "--set", "store.keep_days=90", "account", "set", "acme", "--keep-days", "default", "--json"
    ).data
    assert (lifted["keep_days"], lifted["keep_days_set"]) == (90, None)


def test_setting_the_days_leaves_the_quota_alone(gatepost: Gatepost) -> None:
    assert gatepost("account", "set", "acme", "--image-quota", "5M").code == 0
    data = gatepost("account", "set", "acme", "--keep-days", "0", "--json").data
    assert (data["image_quota_set"], data["keep_days_set"]) == (5_000_000, 0)


@pytest.mark.parametrize("days", ["-1", "much", "36501", "", "٣", "9" * 5000])
def test_what_is_no_number_of_days_is_refused_by_name(gatepost: Gatepost, days: str) -> None:
    result = gatepost("account", "set", "acme", f"--keep-days={days}", "--json")
    assert result.code == 2
    assert "is no number of days; expected 0 (for good) to 36500, or default" in result.error


def test_a_change_of_nothing_is_refused(gatepost: Gatepost) -> None:
    result = gatepost("account", "set", "acme", "--json")
    assert result.code == 2
    assert "nothing to change; give --image-quota, --keep-days, --limit, --time-zone" in result.error
