"""A certificate authority for the tests: certificates that are good, expired, of another host."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """``ca.pem``, and ``server``, ``expired`` and ``elsewhere`` (.pem, .key), all in one folder."""

    folder: Path

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"


def make(folder: Path, host: str = "localhost") -> Authority:
    """Make an authority and its certificates: ``server`` and ``expired`` are for ``host``."""
    folder.mkdir()
    now = datetime.now(UTC)
    ca_key = generate_private_key(SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test directory authority")])

    def builder(name: x509.Name, key: object, ends: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(key)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=30))
            .not_valid_after(ends)
        )

    constraints = x509.BasicConstraints(ca=True, path_length=None)
    ca = builder(ca_name, ca_key.public_key(), now + timedelta(days=30)).add_extension(constraints, True)
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    for name, named, ends in (
        ("server", host, now + timedelta(days=30)),
        ("expired", host, now - timedelta(days=1)),
        ("elsewhere", "other.example.org", now + timedelta(days=30)),
    ):
        key = generate_private_key(SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, named)])
        alternative = x509.SubjectAlternativeName([x509.DNSName(named)])
        made = builder(subject, key.public_key(), ends).add_extension(alternative, False)
        (folder / f"{name}.pem").write_bytes(made.sign(ca_key, hashes.SHA256()).public_bytes(pem))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
    return Authority(folder)
