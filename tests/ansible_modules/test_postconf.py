"""gatepost_postconf sets what is named, leaves every other byte, and takes it back exactly."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

import pytest

from gatepost_core.postfix import main_cf, master_cf
from gatepost_core.settings import load

from .conftest import House, Run


def parameter(name: str, value: str, match: str = "equal") -> dict[str, str]:
    return {"name": name, "value": value, "match": match}


def service(name: str, *options: str, type_: str = "inet", command: str = "smtpd") -> dict[str, str]:
    first = f"{name} {type_} n - n - - {command}"
    return {"name": name, "type": type_, "entry": "\n".join([first, *(f"  -o {one}" for one in options)])}


def wanted(ports: str = "587,465") -> dict[str, Any]:
    """Return what `gatepost postfix-settings --json` prints for these ports, as the module takes it."""
    settings = load(overrides={"postfix.scope": "ports", "postfix.ports": ports}, environ={})
    rows = [parameter(one.name, one.value, one.match) for one in main_cf(settings, ("b.example",))]
    services = [{"name": s.name, "type": s.type, "entry": s.entry} for s in master_cf(settings)]
    return {"parameters": rows, "services": services}


def apply(run: Run, house: House, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
    places = {"config_directory": str(house.folder), "state_file": str(house.state)}
    return run("gatepost_postconf", check=check, ports_from="postfix_ports", **places, **arguments)


def test_what_is_wanted_is_there_once_and_the_second_run_changes_nothing(run: Run, house: House) -> None:
    before = house.files
    first = apply(run, house, **wanted())
    assert first["changed"], first
    after = house.files
    assert all(old in new for old, new in zip(before, after, strict=True))
    assert house.postconf("-h", "gatepost_milters") == "unix:gatepost/milter"
    assert house.postconf("-P", "submission/inet/smtpd_tls_security_level").endswith("= encrypt")
    assert (first["reload"], first["restart"]) == (True, False)
    second = apply(run, house, **wanted())
    assert (second["changed"], second["names"], house.files) == (False, [], after)


def test_absent_restores_every_byte(run: Run, house: House) -> None:
    before = house.files
    rows = [
        parameter("mydestination", ""),
        parameter("smtpd_recipient_restrictions", "reject"),
        parameter("relay_domains", "b.example", "include"),
    ]
    everything = wanted("587")
    apply(run, house, parameters=[*rows, *everything["parameters"]], services=everything["services"])
    assert house.postconf("-h", "relay_domains") == "other.example, b.example"
    assert house.files != before
    result = apply(run, house, state="absent")
    assert result["changed"]
    assert house.files == before
    assert not house.state.exists()
    assert not apply(run, house, state="absent")["changed"]


def test_what_is_no_longer_wanted_is_put_back(run: Run, house: House) -> None:
    apply(run, house, **wanted("587,465"))
    apply(run, house, parameters=[parameter("mydestination", "")], services=[])
    assert apply(run, house, **wanted("587"))["changed"]
    services = house.postconf("-M")
    assert "submissions" not in services
    assert "submission" in services
    assert house.postconf("-h", "mydestination") == "$myhostname, localhost house.example"


def test_what_somebody_changed_since_is_left_alone(run: Run, house: House) -> None:
    apply(
        run, house, parameters=[parameter("smtp_tls_security_level", "may"), parameter("mydestination", "")]
    )
    main, master = house.files
    house.write(main.replace("smtp_tls_security_level = may", "smtp_tls_security_level = dane"), master)
    result = apply(run, house, state="absent")
    assert result["kept"] == ["smtp_tls_security_level"]
    assert house.postconf("-h", "smtp_tls_security_level") == "dane"
    assert "localhost" in house.postconf("-h", "mydestination")


def test_a_list_that_others_add_to_loses_only_our_item(run: Run, house: House) -> None:
    apply(run, house, parameters=[parameter("transport_maps", "texthash:/etc/ours", "include")])
    assert house.postconf("-h", "transport_maps") == "inline:{a.example=error:no}, texthash:/etc/ours"
    main, master = house.files
    house.write(main.replace("texthash:/etc/ours", "texthash:/etc/ours, texthash:/etc/theirs"), master)
    assert not apply(run, house, parameters=[parameter("transport_maps", "texthash:/etc/ours", "include")])[
        "changed"
    ]
    house.write(*(text.replace("error:no}", "error:really-no}") for text in house.files))
    apply(run, house, state="absent")
    assert (
        house.postconf("-h", "transport_maps") == "inline:{a.example=error:really-no}, texthash:/etc/theirs"
    )


def test_several_who_add_to_one_list_come_and_go_each_by_itself(run: Run, house: House) -> None:
    before = house.postconf("-h", "transport_maps")
    first = parameter("transport_maps", "$gatepost_transport", "include")
    second = parameter("transport_maps", "texthash:/etc/ours", "include")
    table = parameter("gatepost_transport", "inline:{ b.example=error:no }")
    apply(run, house, parameters=[table, first, second])
    assert house.postconf("-h", "transport_maps") == f"{before}, $gatepost_transport, texthash:/etc/ours"
    assert not apply(run, house, parameters=[table, first, second])["changed"]
    apply(run, house, parameters=[table, first])
    assert house.postconf("-h", "transport_maps") == f"{before}, $gatepost_transport"
    apply(run, house, parameters=[second])
    assert house.postconf("-h", "transport_maps") == f"{before}, texthash:/etc/ours"
    apply(run, house, state="absent")
    assert house.postconf("-h", "transport_maps") == before


def test_check_mode_says_what_would_change_and_changes_nothing(run: Run, house: House) -> None:
    before = house.files
    result = apply(run, house, check=True, **wanted())
    assert result["changed"]
    assert [part["after_header"] for part in result["diff"]] == ["main.cf", "master.cf"]
    assert "gatepost_policy" in result["diff"][0]["after"]
    assert (house.files, house.state.exists()) == (before, False)
    apply(run, house, **wanted())
    assert not apply(run, house, check=True, **wanted())["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_a_misspelt_parameter_fails_before_anything_is_written(run: Run, house: House, check: bool) -> None:
    before = house.files
    result = apply(run, house, check=check, parameters=[parameter("smtpd_tls_auth_onyl", "yes")])
    assert result["failed"]
    assert "smtpd_tls_auth_onyl" in result["remarks"][0]
    assert (house.files, house.state.exists()) == (before, False)


def test_a_remark_about_what_was_there_before_stops_nobody(run: Run, house: House) -> None:
    main, master = house.files
    house.write(main + "their_unused_name = 1\n", master)
    assert apply(run, house, parameters=[parameter("smtp_tls_security_level", "may")])["changed"]


def test_settings_that_postfix_check_refuses_are_taken_back(run: Run, house: House) -> None:
    before = house.files
    result = apply(run, house, parameters=[parameter("mail_owner", "no-such-user")])
    assert result["failed"]
    assert "main.cf and master.cf are as before" in result["msg"]
    assert house.files == before
    assert not house.state.exists()


@pytest.mark.parametrize("taken", ["submission", "587", "127.0.0.1:587", "[::]:submission"])
def test_a_port_that_a_service_made_by_hand_has_stops_before_any_change(
    run: Run, house: House, taken: str
) -> None:
    main, master = house.files
    house.write(main, f"{taken} inet n - y - - smtpd\n  -o smtpd_tls_security_level=may\n{master}")
    before = house.files
    result = apply(run, house, **wanted())
    assert result["failed"]
    assert result["msg"].startswith(
        "postfix_ports: port 587 belongs to a service that is already in master.cf"
    )
    assert house.files == before


def test_port_25_is_replaced_as_the_package_has_it_and_never_otherwise(run: Run, house: House) -> None:
    before = house.files
    assert apply(run, house, **wanted("25"))["changed"]
    assert "$gatepost_policy" in house.postconf("-P", "smtp/inet/smtpd_relay_restrictions")
    assert house.postconf("-h", "relay_domains") == "other.example, $gatepost_bounce_domains"
    apply(run, house, state="absent")
    assert house.files == before
    house.write(before[0], before[1].replace("- smtpd\n10025", "- smtpd\n -o smtpd_milters=\n10025", 1))
    house.write(before[0], before[1].replace("smtpd\n10025", "postscreen\n10025", 1))
    assert "port 25 belongs to" in apply(run, house, **wanted("25"))["msg"]


def test_a_list_that_main_cf_does_not_name_keeps_its_default(run: Run, house: House) -> None:
    main, master = house.files
    house.write(main.replace("relay_domains = other.example\n", ""), master)
    before = house.files
    assert apply(run, house, **wanted("25"))["changed"]
    assert house.postconf("-h", "relay_domains").startswith("${{$compatibility_level}")
    assert house.postconf("-hx", "relay_domains").strip(" ,") == "b.example"
    assert not apply(run, house, **wanted("25"))["changed"]
    apply(run, house, state="absent")
    assert house.files == before


@pytest.mark.parametrize(("ports", "free"), [([587, 465], True), ([25], True), ([10025], False)])
def test_ports_can_be_looked_at_before_anything_else(
    run: Run, house: House, ports: list[int], free: bool
) -> None:
    before = house.files
    result = apply(run, house, state="checked", ports=ports)
    assert result.get("failed", False) is not free
    assert free or "postfix_ports: port 10025 belongs to" in result["msg"]
    assert house.files == before


def test_a_postfix_without_main_cf_has_ports_all_the_same(run: Run, house: House) -> None:
    """Debian's "No configuration" leaves one, script/bootstrap too; the role makes the file afterwards."""
    (house.folder / "main.cf").unlink()
    assert not apply(run, house, state="checked", ports=[587]).get("failed", False)
    assert "port 10025 belongs to" in apply(run, house, state="checked", ports=[10025])["msg"]
    assert apply(run, house, check=True, **wanted("587"))["changed"]
    assert "main.cf cannot be read" in apply(run, house, **wanted("587"))["msg"]
    assert not (house.folder / "main.cf").exists()


def test_a_port_on_which_another_program_listens_stops_before_any_change(run: Run, house: House) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        result = apply(run, house, parameters=[], services=[service(str(port))])
    assert f"port {port} is taken by another program" in result["msg"]


def test_a_change_that_needs_a_restart_says_so(run: Run, house: House) -> None:
    result = apply(run, house, parameters=[parameter("inet_interfaces", "loopback-only")])
    assert (result["reload"], result["restart"]) == (False, True)


def test_a_state_file_that_is_none_is_named(run: Run, house: House) -> None:
    house.state.parent.mkdir()
    house.state.write_text("{")
    assert "does not hold what was there before" in apply(run, house, parameters=[])["msg"]


def test_the_state_is_for_root_alone(run: Run, house: House) -> None:
    apply(run, house, parameters=[parameter("smtp_tls_security_level", "may")])
    assert house.state.stat().st_mode & 0o777 == 0o600


def test_a_main_cf_made_for_a_postfix_that_is_all_gatepost_s_stops_before_any_change(
    run: Run, house: House
) -> None:
    main, master = house.files
    own = (
        "smtpd_relay_restrictions = $gatepost_policy, permit_sasl_authenticated, reject_unauth_destination\n"
    )
    house.write(f"{main}gatepost_policy = reject\n{own}", master)
    before = house.files
    for arguments in ({"state": "checked", "ports": [587]}, wanted()):
        refused = apply(run, house, **arguments)
        assert refused["failed"]
        assert 'put scope = "host" into section [postfix]' in refused["msg"]
    assert house.files == before


def test_what_the_command_set_by_hand_is_taken_over_and_taken_back(run: Run, house: House) -> None:
    before = house.files
    apply(run, house, **wanted("587"))
    by_hand = house.state.with_name("by-hand.json")
    house.state.rename(by_hand)
    assert apply(run, house, **wanted("587,465"))["changed"]
    assert (house.state.exists(), by_hand.exists()) == (True, False)
    apply(run, house, state="absent")
    assert house.files == before


def test_a_compatibility_level_is_raised_and_never_lowered(run: Run, house: House) -> None:
    wish = {"main_cf": [parameter("compatibility_level", "3.6", "at_least")], "master_cf": []}
    assert not apply(run, house, settings=wish)["changed"]
    main, master = house.files
    for there, after in (("3.10", "3.10"), ("2", "3.6")):
        house.write(main.replace("compatibility_level = 3.6", f"compatibility_level = {there}"), master)
        apply(run, house, settings=wish)
        assert house.postconf("-h", "compatibility_level") == after
