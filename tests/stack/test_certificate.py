"""The certificates of a private stack are good for a client that verifies strictly."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from gatepost_stack import certificate


def handshake(directory: Path, ca_file: Path, name: str) -> None:
    """Shake hands as server and client; raises what the client thinks of the certificate."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(directory / "server.pem", directory / "server.key")
    client = ssl.create_default_context(cafile=str(ca_file))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    theirs.settimeout(10)

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except (ssl.SSLError, OSError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["mail.example.test", "localhost", "127.0.0.1"])
def test_a_strict_client_accepts_the_server_under_each_of_its_names(tmp_path: Path, name: str) -> None:
    certificate.make(tmp_path, "mail.example.test")
    handshake(tmp_path, tmp_path / "ca.pem", name)


def test_a_client_refuses_another_name_and_another_authority(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for directory in (one, other):
        directory.mkdir()
        certificate.make(directory, "mail.example.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(one, one / "ca.pem", "elsewhere.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(one, other / "ca.pem", "localhost")


def test_the_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    certificate.make(tmp_path, "mail.example.test")
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600
