"""Keys on disk: made once, readable by the daemons only, rotated by adding a file."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gatepost_core.keys import PURPOSES, Keyring, KeyringError
from gatepost_core.keys.keyring import add, create_missing


def test_missing_keys_are_made_once(tmp_path: Path) -> None:
    directory = tmp_path / "a" / "keys"
    made = create_missing(directory)
    assert sorted(path.name for path in made) == [f"{name}-a.key" for name in sorted(PURPOSES)]
    before = {path: path.read_bytes() for path in made}
    assert create_missing(directory) == []
    assert {path: path.read_bytes() for path in made} == before


def test_a_directory_with_one_key_for_all_tokens_gets_one_for_each(tmp_path: Path) -> None:
    create_missing(tmp_path)
    for purpose in ("click", "unsubscribe", "bounce"):
        (tmp_path / f"{purpose}-a.key").rename(tmp_path / "token-a.key")
    before = (tmp_path / "seal-a.key").read_bytes()
    with pytest.raises(KeyringError, match="no click key; run 'gatepost store upgrade' to make it"):
        Keyring.load(tmp_path)
    made = sorted(path.name for path in create_missing(tmp_path))
    assert made == ["bounce-a.key", "click-a.key", "unsubscribe-a.key"]
    assert "token" not in Keyring.load(tmp_path).keys
    assert (tmp_path / "seal-a.key").read_bytes() == before


def test_keys_are_not_for_everybody(tmp_path: Path) -> None:
    for path in create_missing(tmp_path / "keys"):
        assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "keys").stat().st_mode & 0o007 == 0


def test_a_daemon_does_without_the_keys_that_others_need(tmp_path: Path) -> None:
    """One who may not read them is not told of them; his own are missed in words."""
    create_missing(tmp_path)
    for purpose in ("password", "seal"):
        (tmp_path / f"{purpose}-a.key").chmod(0o644)  # refused where it is read
    keyring = Keyring.load(tmp_path, ("bounce", "click"))
    assert set(keyring.keys) == {"bounce", "click"}
    (tmp_path / "click-a.key").unlink()
    with pytest.raises(KeyringError, match="no click key; run 'gatepost store upgrade' to make it"):
        Keyring.load(tmp_path, ("bounce", "click"))


def test_every_key_is_32_bytes_and_its_own(tmp_path: Path) -> None:
    create_missing(tmp_path)
    keyring = Keyring.load(tmp_path)
    keys = [keyring.current(purpose)[1] for purpose in PURPOSES]
    assert {len(key) for key in keys} == {32}
    assert len(set(keys)) == len(keys)


def test_a_rotated_key_makes_new_values_and_the_old_one_still_checks(tmp_path: Path) -> None:
    create_missing(tmp_path)
    old = Keyring.load(tmp_path).current("bounce")[1]
    assert add(tmp_path, "bounce").name == "bounce-b.key"
    keyring = Keyring.load(tmp_path)
    assert keyring.current("bounce")[0] == "b"
    assert keyring.get("bounce", "a") == old
    assert keyring.get("bounce", "z") is None


def test_the_27th_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "seal-z.key").write_bytes(base64.b64encode(bytes(32)))
    with pytest.raises(KeyringError, match="all 26 ids of seal keys are used"):
        add(tmp_path, "seal")


def test_a_missing_key_tells_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(KeyringError, match="no password key; run 'gatepost store upgrade'"):
        Keyring.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"not base64!", "is not base64; restore it"),
        (base64.b64encode(bytes(31)), "holds 31 bytes, expected 32"),
        (b"", "holds 0 bytes, expected 32"),
    ],
)
def test_a_damaged_key_is_named(tmp_path: Path, content: bytes, text: str) -> None:
    create_missing(tmp_path)
    (tmp_path / "bounce-a.key").write_bytes(content)
    with pytest.raises(KeyringError) as refused:
        Keyring.load(tmp_path)
    assert str(tmp_path / "bounce-a.key") in str(refused.value)
    assert text in str(refused.value)


def test_a_key_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    create_missing(tmp_path)
    (tmp_path / "seal-a.key").chmod(0o644)
    with pytest.raises(KeyringError, match=r"chmod 0640 .*seal-a\.key"):
        Keyring.load(tmp_path)


def test_no_key_shows_in_a_log(tmp_path: Path) -> None:
    create_missing(tmp_path)
    keyring = Keyring.load(tmp_path)
    for purpose in PURPOSES:
        key = keyring.current(purpose)[1]
        for shown in (repr(keyring), str(keyring)):
            assert repr(key)[2:-1] not in shown
            assert base64.b64encode(key).decode() not in shown
