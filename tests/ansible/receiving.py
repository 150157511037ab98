"""The receiving side of the private network: an MX that keeps what arrives, and the DNS of the test domains.

The MX is a systemd host with Debian's Postfix (TLS by the test authority, every recipient into one Maildir;
on port 587 a relay that wants a login) and dnsmasq. Hosts that name it as their resolver find the MX of
`DOMAIN` and the records that were published.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import io
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import dns.resolver
import docker.errors

from tests.ansible.certificates import Authority
from tests.ansible.hosts import Host, HostFailedError

DOMAIN = "customers.test"
# Taken for a host that relays it inside.
INNER = "inner.test"
# What port 587 wants, as a table of Postfix has it.
LOGIN = "house:a-word-of-the-house"
_MAILDIR = "/var/mail/arrived"
_MAIN_CF = """
compatibility_level = 3.6
myhostname = {name}
mydestination =
inet_interfaces = all
inet_protocols = ipv4
maillog_file =
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {maildir}
virtual_minimum_uid = 1
virtual_uid_maps = static:8
virtual_gid_maps = static:8
virtual_mailbox_limit = 0
smtpd_tls_security_level = may
smtpd_tls_key_file = /etc/postfix/mx.key
smtpd_tls_cert_file = /etc/postfix/mx.crt
smtpd_tls_received_header = yes
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
"""
_RELAY = """
587 inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_sasl_authenticated_header=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
"""
_SASL = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN\n"


@dataclass(frozen=True, slots=True)
class Arrived:
    """One message that the MX delivered: as it lies in the Maildir, and parsed."""

    raw: bytes

    @property
    def message(self) -> email.message.EmailMessage:
        """The message without the three lines that delivery put on top."""
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        if not isinstance(parsed, email.message.EmailMessage):
            raise TypeError(f"{type(parsed)}: expected an EmailMessage")
        return parsed

    @property
    def sent(self) -> bytes:
        """The message with CRLF line ends and without the MX's own delivery fields, for DKIM."""
        lines = self.raw.replace(b"\r\n", b"\n").split(b"\n")
        while lines and lines[0].startswith((b"Return-Path:", b"X-Original-To:", b"Delivered-To:")):
            lines.pop(0)
        return b"\r\n".join(lines)


@dataclass(slots=True)
class Receiver:
    """The MX and its DNS: `publish` records, wait for mail that `arrived`."""

    host: Host

    @classmethod
    def install(cls, host: Host, authority: Authority) -> Receiver:
        """Make an MX and DNS server of a host with the packages of a mail server."""
        host.wait_running()
        key, certificate = authority.issue(host.full_name)
        host.put("/etc/postfix/mx.key", key, mode=0o600)
        host.put("/etc/postfix/mx.crt", certificate)
        domains = f"{DOMAIN}, {INNER}"
        main = _MAIN_CF.format(name=host.full_name, domains=domains, maildir=_MAILDIR)
        host.put("/etc/postfix/main.cf", main)
        host.put("/etc/postfix/master.cf", host.get("/etc/postfix/master.cf") + _RELAY)
        host.put("/etc/postfix/sasl/smtpd.conf", _SASL)
        user, _, password = LOGIN.partition(":")
        user_there = f"saslpasswd2 -p -c -u {host.full_name} {user} && chgrp postfix /etc/sasldb2"
        host.run(user_there, stdin=password.encode())
        host.run(f"install -d -o mail -g mail {_MAILDIR}/all")
        host.put(
            "/etc/dnsmasq.d/base.conf",
            f"no-resolv\nserver=127.0.0.11\nmx-host={DOMAIN},{host.full_name},10\n"
            f"mx-host={INNER},{host.full_name},10\n",
        )
        host.run("systemctl -q enable dnsmasq; systemctl restart postfix dnsmasq")
        return cls(host)

    def publish(self, records: Iterable[tuple[str, str, str]]) -> None:
        """Publish these DNS records (name, type, value) and no others: TXT, CNAME, MX with preference, A."""
        lines = [_dnsmasq(name.rstrip("."), kind, value) for name, kind, value in records]
        self.host.put("/etc/dnsmasq.d/records.conf", "\n".join([*lines, ""]))
        self.host.run("systemctl restart dnsmasq")

    def lookup(self, name: bytes, timeout: float = 5) -> bytes:
        """The TXT record of a name, as this DNS answers it; what dkimpy asks for."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers = [self.host.address]
        answer = resolver.resolve(name.decode().rstrip("."), "TXT", lifetime=timeout)
        return b"".join(next(iter(answer)).strings)

    def messages(self) -> list[Arrived]:
        """Everything that arrived so far, in no order."""
        try:
            stream, _ = self.host.container.get_archive(f"{_MAILDIR}/all/new")
        except docker.errors.NotFound:
            return []
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
            files = [tar.extractfile(member) for member in tar if member.isfile()]
            return [Arrived(file.read()) for file in files if file is not None]

    def arrived(self, text: str, *, seconds: float = 60.0) -> Arrived:
        """Wait for the message that holds `text`."""
        deadline = time.monotonic() + seconds
        wanted = text.encode()
        while not (found := [one for one in self.messages() if wanted in one.raw]):
            if time.monotonic() > deadline:
                log = self.host.run("journalctl -u 'postfix*' -n 30 --no-pager").out
                raise HostFailedError(
                    f"nothing with {text!r} arrived within {seconds:.0f} s; the MX's log:\n{log}"
                )
            time.sleep(0.2)
        return found[0]

    def arrived_all(self, texts: Iterable[str], *, seconds: float = 120.0) -> None:
        """Wait until there is a message for each of `texts`; else HostFailedError names those missing."""
        wanted, deadline = set(texts), time.monotonic() + seconds
        while missing := wanted - self._holding(wanted):
            if time.monotonic() > deadline:
                raise HostFailedError(
                    f"{len(missing)} of {len(wanted)} never arrived: {sorted(missing)[:10]}"
                )
            time.sleep(0.5)

    def _holding(self, texts: set[str]) -> set[str]:
        everything = b"\0".join(one.raw for one in self.messages())
        return {text for text in texts if text.encode() in everything}


def _dnsmasq(name: str, kind: str, value: str) -> str:
    if kind == "TXT":
        parts = [value[start : start + 250] for start in range(0, len(value), 250)]
        return ",".join([f"txt-record={name}", *(f'"{part}"' for part in parts)])
    forms: dict[str, Callable[[], str]] = {
        "CNAME": lambda: f"cname={name},{value.rstrip('.')}",
        "MX": lambda: "mx-host={0},{2},{1}".format(name, *value.rstrip(".").split()),
        "A": lambda: f"host-record={name},{value}",
    }
    return forms[kind]()
