"""Files that tell places: read whole, read anew when another is there, and never silent about a fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gatepost_core.domain.rules.places import Kind, Place
from gatepost_core.serving.places import Locator, check
from gatepost_core.store import StoreUnavailable
from tests.places import countries, country, network, write
from tests.waiting import until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return countries(tmp_path / "country.mmdb", NL="198.51.100.0/24", BR="2001:db8::/32")


def told(locate: Locator, address: str | None, kind: Kind = Kind.COUNTRY) -> str:
    place = locate(kind, address)
    assert place == Place(kind, place.name)
    return place.name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("198.51.100.7", "NL"),
        ("::ffff:198.51.100.7", "NL"),
        ("2001:db8::9%eth0", "BR"),
        ("8.8.8.8", "unknown"),
        ("2a00::1", "unknown"),
        ("10.0.0.1", "private"),
        ("", "unknown"),
        (None, "unknown"),
        ("unknown", "unknown"),
        ("1" * 10_000, "unknown"),
    ],
)
def test_each_address_is_somewhere(file: Path, address: str | None, name: str) -> None:
    locate = Locator({"country": str(file)})
    assert [told(locate, address) for _ in range(2)] == [name, name]


def test_a_file_of_ipv4_alone_knows_no_other_address(tmp_path: Path) -> None:
    place = write(tmp_path / "old.mmdb", {"198.51.100.0/24": country("NL")}, version=4)
    locate = Locator({"country": str(place)})
    assert (told(locate, "198.51.100.7"), told(locate, "2001:db8::9")) == ("NL", "private")


def test_networks_are_told_by_a_file_of_their_own(tmp_path: Path, file: Path) -> None:
    numbers = write(tmp_path / "asn.mmdb", {"198.51.100.0/24": network(64500)}, "GeoLite2-ASN")
    locate = Locator({"country": str(file), "network": str(numbers)})
    assert told(locate, "198.51.100.7", Kind.NETWORK) == "AS64500"
    check({"country": str(file), "network": str(numbers)})
    for kind, wrong in (("country", numbers), ("network", file)):
        with pytest.raises(StoreUnavailable, match=f"hold.{kind}_database = .*: is a file of type GeoLite2-"):
            check({kind: str(wrong)})


@pytest.mark.parametrize("type_", ["ipinfo lite", "DBIP-City-Lite", "GeoIP2-Enterprise"])
def test_other_makers_files_are_taken(tmp_path: Path, type_: str) -> None:
    place = write(tmp_path / "other.mmdb", {"198.51.100.0/24": {"country_code": "NL"}}, type_)
    assert told(Locator({"country": str(place)}), "198.51.100.7") == "NL"


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])


def other(file: Path) -> None:
    file.write_bytes(b"something else " * 100)


def nothing(file: Path) -> None:
    file.write_bytes(b"")


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def gone(file: Path) -> None:
    file.unlink()


DAMAGES = [cut, other, nothing, folder, gone]


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_file_that_can_be_read_nothing_is_told_and_the_fault_names_it(
    file: Path, damage: Callable[[Path], None]
) -> None:
    damage(file)
    locate = Locator({"country": str(file)})
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=f"hold.country_database = {file}: "):
            told(locate, "198.51.100.7")
    with pytest.raises(StoreUnavailable, match=str(file)):
        check({"country": str(file)})


def test_without_the_setting_nothing_is_told() -> None:
    with pytest.raises(StoreUnavailable, match=r"hold\.network_database is not set"):
        Locator({"network": ""})(Kind.NETWORK, "198.51.100.7")
    check({"country": "", "network": ""})


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_was_read_counts_until_another_file_can_be(
    file: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatepost_core.serving.places._AGAIN", 0.0)
    locate = Locator({"country": str(file)})
    assert told(locate, "198.51.100.7") == "NL"
    damage(file)
    assert (told(locate, "198.51.100.7"), told(locate, "198.51.100.8")) == ("NL", "NL")
    if file.is_dir():
        file.rmdir()
    countries(file, DE="198.51.100.0/24")
    assert (told(locate, "198.51.100.7"), told(locate, "198.51.100.9")) == ("DE", "DE")


def test_a_file_is_read_anew_also_while_nobody_asks(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatepost_core.serving.places._LOOK_SECONDS", 0.01)
    read: list[str] = []
    monkeypatch.setattr("gatepost_core.serving.log.info", lambda *_, **values: read.append(values["type"]))
    locate = Locator({"country": str(file)})
    locate.begin()
    try:
        until(lambda: len(read) == 1, "the file to be read")
        write(file, {"198.51.100.0/24": country("DE")}, "DBIP-Country")
        until(lambda: read[1:] == ["DBIP-Country"], "the other file to be read")
        file.unlink()
        assert told(locate, "198.51.100.7") == "DE"
    finally:
        locate.end()


def test_a_file_is_read_before_processes_are_forked_and_its_fault_is_said_then(file: Path) -> None:
    locate = Locator({"country": str(file), "network": ""})
    assert locate.warm() == []
    file.unlink()
    assert told(locate, "198.51.100.7") == "NL"
    (fault,) = Locator({"country": str(file)}).warm()
    assert "No such file" in fault
