"""Listening sockets: addresses as Postfix writes them, own sockets, and those handed over."""

from __future__ import annotations

import grp
import os
import re
import socket
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost_core.serving.listen import InetAddress, ListenError, UnixAddress, bind, inherited, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/gatepost/sasl", UnixAddress("/run/gatepost/sasl")),
        ("inet:127.0.0.1:9090", InetAddress("127.0.0.1", 9090)),
        ("inet:localhost:0", InetAddress("localhost", 0)),
        ("inet:[::1]:25", InetAddress("::1", 25)),
    ],
)
def test_addresses_are_read_as_postfix_writes_them(text: str, address: UnixAddress | InetAddress) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected unix:/path"),
        ("/run/x", "expected unix:/path"),
        ("unix:relative", "must be absolute"),
        ("unix:/" + "x" * 107, "longer than 107 bytes"),
        ("inet:9090", "no port"),
        ("inet:host:99999", "no port"),
        ("inet:host:²", "no port"),
        ("inet:::1:25", "in brackets"),
        ("inet::25", "names no host"),
    ],
)
def test_an_address_that_is_none_is_refused_with_what_was_expected(text: str, says: str) -> None:
    with pytest.raises(ListenError, match=re.escape(says)):
        parse_address(text)


@given(st.text())
def test_any_text_is_an_address_or_a_listen_error(text: str) -> None:
    try:
        address = parse_address(text)
    except ListenError:
        return
    assert parse_address(str(address)) == address


def test_a_unix_socket_is_for_owner_and_group_only(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    group = grp.getgrgid(os.getgid()).gr_name
    with bind(UnixAddress(str(path)), group=group):
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o660
        assert status.st_gid == os.getgid()


def test_a_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    bind(UnixAddress(str(path)), group="").close()
    assert path.is_socket()
    with bind(UnixAddress(str(path)), group=""), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_on_which_somebody_answers_is_left_alone(tmp_path: Path) -> None:
    address = UnixAddress(str(tmp_path / "socket"))
    with bind(address, group="") as first:
        with pytest.raises(ListenError, match="another process answers"):
            bind(address, group="")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address.path)
        assert first.fileno() > 0


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mail"
    path.write_text("precious")
    with pytest.raises(ListenError, match="no socket is in the way"):
        bind(UnixAddress(str(path)), group="")
    assert path.read_text() == "precious"


def test_a_missing_folder_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="No such file or directory; the folder does not exist: make it"):
        bind(UnixAddress(str(tmp_path / "none" / "socket")), group="")


def test_a_port_that_is_taken_is_named_with_what_to_do() -> None:
    with bind(InetAddress("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(ListenError, match=f"inet:127.0.0.1:{port}: .*another process listens there"):
            bind(InetAddress("127.0.0.1", port))


def test_sockets_meant_for_another_process_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    assert inherited() == []


def test_a_descriptor_that_is_no_socket_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spare = (tmp_path / "file").open("wb")
    monkeypatch.setattr("gatepost_core.serving.listen._FIRST_FD", spare.fileno())
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    with spare, pytest.raises(ListenError, match="is no socket"):
        inherited()
    assert "LISTEN_FDS" not in os.environ
