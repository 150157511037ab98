"""A mail server that somebody made by hand before Gatepost came: comments, odd blanks, work of its own.

Mailboxes of system users and without them, aliases, a domain that it relays inside, postsrsd, opendkim, a
content filter, a partner's relay with a login. ``flows`` sends all that it is for and returns what became of
each; what differs each time is masked, so that two runs can be compared. ``busy`` sends all the while
something is done to it.
"""

from __future__ import annotations

import secrets
import smtplib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.ansible import receiving
from tests.ansible.hosts import Host, HostFailedError
from tests.ansible.receiving import DOMAIN, INNER, Receiver
from tests.integration.house import masked

LOCAL = "local.test"
PARTNER = "partner.test"
STRANGER = "dave@elsewhere.test"
FILES = tuple(
    f"/etc/{name}"
    for name in ("postfix/main.cf", "postfix/master.cf", "postfix/relays", "postfix/passwords", "aliases")
)
_MAIN_CF = """# Set up by hand; please keep the comments.
compatibility_level = 3.6
myhostname = {name}
mydestination = $myhostname, local.test,
    localhost
home_mailbox   =   Maildir/
inet_interfaces = all
inet_protocols = ipv4
message_size_limit = 33000000
mailbox_size_limit = 0
smtpd_banner = $myhostname ESMTP by hand
# A limit that Gatepost has no opinion on:
default_process_limit = 55

smtpd_helo_required = yes
relay_domains = {inner}
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination

# Mailboxes without system users, and forwards.
virtual_mailbox_domains = virtual.test
virtual_mailbox_base = /var/mail/virtual
virtual_mailbox_maps = inline:{{{{carol@virtual.test=carol/}}}}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_alias_domains = forward.test
virtual_alias_maps = inline:{{{{info@forward.test=bob@local.test}}}}

smtpd_milters = inet:localhost:8891
non_smtpd_milters = $smtpd_milters
sender_canonical_maps = tcp:localhost:10001
sender_canonical_classes = envelope_sender
recipient_canonical_maps = tcp:localhost:10002
recipient_canonical_classes = envelope_recipient, header_recipient
content_filter = scan:[127.0.0.1]:10024

# The partner's relay.
sender_dependent_relayhost_maps = texthash:/etc/postfix/relays
smtp_sender_dependent_authentication = yes
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:/etc/postfix/passwords
smtp_sasl_security_options = noanonymous
smtp_tls_policy_maps = texthash:/etc/postfix/policies
smtp_tls_security_level = may
smtp_tls_CAfile = /etc/ssl/certs/ca-certificates.crt
smtp_tls_loglevel = 1
"""
_MASTER_CF = """
# An entry of our own.
127.0.0.1:10026 inet n - n - 3 smtpd
  -o smtpd_recipient_restrictions=permit_mynetworks,reject
# The filter, which takes and gives back by SMTP without TLS.
scan unix - - n - 4 smtp
127.0.0.1:10024 inet n - n - - smtpd
  -o content_filter=
  -o smtpd_milters=
  -o smtpd_helo_required=no
  -o receive_override_options=no_address_mappings
  -o cleanup_service_name=scanned
scanned unix n - n - 0 cleanup
  -o { header_checks = regexp:{{/^Subject:/ PREPEND X-Scanned: yes}} }
"""
_OPENDKIM = """UserID opendkim
Mode s
Domain local.test
Selector house
KeyFile /etc/dkimkeys/house.private
Socket inet:8891@localhost
PidFile /run/opendkim/opendkim.pid
"""
_SRS = "/etc/default/postsrsd"
# Names that it leaves alone: those that this server itself may send for.
_SRS_OWN = """SRS_DOMAIN=example.test
SRS_EXCLUDE_DOMAINS=.example.test,local.test,partner.test,shop.test
"""
_MAILBOXES = "/home/bob/Maildir/new /var/mail/virtual/carol/new"


@dataclass(slots=True)
class House:
    """The server: its files and parameters as they were, and where mail goes that leaves it."""

    host: Host
    receiver: Receiver
    files: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    before: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def build(cls, host: Host, receiver: Receiver) -> House:
        """Set it up on a host with the packages of a mail server, and see what it does."""
        host.put("/etc/opendkim.conf", _OPENDKIM)
        host.put(_SRS, host.get(_SRS) + _SRS_OWN)
        relay = f"[{receiver.host.full_name}]:587"
        host.put("/etc/postfix/main.cf", _MAIN_CF.format(name=host.full_name, inner=INNER))
        host.put("/etc/postfix/master.cf", host.get("/etc/postfix/master.cf") + _MASTER_CF)
        host.put("/etc/postfix/relays", f"@{PARTNER} {relay}\n")
        host.put("/etc/postfix/passwords", f"{relay} {receiving.LOGIN}\n", mode=0o600)
        host.put("/etc/postfix/policies", f"{relay} encrypt\n")
        host.put("/etc/aliases", f"postmaster: bob\nroot: bob\nfwd: joe@{DOMAIN}\n")
        host.run(
            "useradd -m bob; install -d -o nobody /var/mail/virtual; "
            "opendkim-genkey -D /etc/dkimkeys -d local.test -s house && chown opendkim /etc/dkimkeys/*; "
            "systemctl -q enable opendkim postsrsd; newaliases; "
            "postfix check && systemctl restart opendkim postsrsd postfix"
        )
        made = cls(host, receiver, {path: host.get(path) for path in FILES}, parameters(host))
        made.before = made.flows()
        return made

    def flows(self, *, world: bool = True, forwarded: str = STRANGER) -> dict[str, bytes]:
        """Send what the server is for, to the ``world`` too; return what became of each kind, masked.

        ``forwarded`` is the sender of what is forwarded to the world.
        """
        stranger, own = STRANGER, f"ann@{LOCAL}"
        sent = {
            "local": self._by_port(stranger, f"bob@{LOCAL}"),
            "virtual": self._by_port(stranger, "carol@virtual.test"),
            "forwarded": self._by_port(stranger, "info@forward.test"),
            "own program": self._by_program(own, f"bob@{LOCAL}"),
            "inner": self._by_program(own, f"ann@{INNER}"),
        }
        if world:
            sent["partner"] = self._by_program(f"pat@{PARTNER}", f"joe@{DOMAIN}")
            sent["forward"] = self._by_port(forwarded, f"fwd@{LOCAL}")
            sent["root"] = self._by_program("root", f"joe@{DOMAIN}")
        arrived = {
            kind: masked(self.arrived(word).replace(word.encode(), b"WORD")) for kind, word in sent.items()
        }
        refused = {"unknown": f"nobody-here@{LOCAL}", "relay": f"joe@{DOMAIN}"}
        return arrived | {kind: self._refused(stranger, recipient) for kind, recipient in refused.items()}

    @contextmanager
    def busy(self, *, world: bool = True) -> Iterator[None]:
        """Have mail of every kind come and go until the block ends: each is taken at once, and arrives."""
        words: list[str] = []
        faults: list[Exception] = []
        over = threading.Event()

        def send() -> None:
            while not over.is_set() and not faults:
                try:
                    words.append(self._by_port("erin@elsewhere.test", f"bob@{LOCAL}"))
                    words.append(self._by_program(f"ann@{LOCAL}", f"ann@{INNER}"))
                    if world:
                        words.append(self._by_port("erin@elsewhere.test", f"fwd@{LOCAL}"))
                        words.append(self._by_program(f"pat@{PARTNER}", f"joe@{DOMAIN}"))
                except (OSError, smtplib.SMTPException, HostFailedError) as fault:
                    faults.append(fault)
                over.wait(0.5)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            yield
        finally:
            over.set()
            sender.join()
        assert faults == []
        assert words
        self.receiver.arrived_all(word for word in words if word.startswith("there"))
        here = " ".join(word for word in words if word.startswith("here"))
        self.host.wait_for(
            f"for word in {here}; do grep -rq $word {_MAILBOXES} || {{ echo $word; exit 1; }}; done",
            "what was taken for a mailbox is there",
        )
        # What was being delivered at a reload is looked at again when qmgr(8) is woken, which is here.
        self.host.wait_for("mailq | grep 'is empty' || { postkick public qmgr I; false; }", "nothing is left")

    def arrived(self, word: str) -> bytes:
        """Wait for the message that holds a word, in a mailbox here or at the receiver."""
        place, kind = word.split("-")[:2]
        if place == "there":
            return self.receiver.arrived(word).raw
        found = f"grep -rl {word} {_MAILBOXES} | head -1 | grep ."
        return self.host.get(
            self.host.wait_for(found, f"mail to a mailbox is delivered ({kind})").strip()
        ).encode()

    def as_before(self) -> None:
        """All files are what they were, byte for byte, and all mail flows as it did."""
        for path, content in self.files.items():
            assert self.host.get(path) == content, path
        assert self.flows() == self.before

    def _by_port(self, sender: str, recipient: str) -> str:
        word, text = _letter(sender, recipient)
        with smtplib.SMTP(self.host.address, local_hostname="elsewhere.test", timeout=60) as connection:
            connection.sendmail(sender, [recipient], text)
        return word

    def _by_program(self, sender: str, recipient: str) -> str:
        word, text = _letter(sender, recipient)
        self.host.run(f"sendmail -f {sender} {recipient}", stdin=text)
        return word

    def _refused(self, sender: str, recipient: str) -> bytes:
        try:
            self._by_port(sender, recipient)
        except smtplib.SMTPRecipientsRefused as refused:
            return repr(refused.recipients).encode()
        raise AssertionError(f"{recipient} was accepted")


def _letter(sender: str, recipient: str) -> tuple[str, bytes]:
    """Return a message, and the word that it alone holds, which says where it is to arrive."""
    here = recipient.endswith((LOCAL, "virtual.test", "forward.test")) and not recipient.startswith("fwd@")
    word = f"{'here' if here else 'there'}-{recipient.partition('@')[0]}-{secrets.token_hex(8)}"
    head = "" if sender == "root" else f"From: <{sender}>\n"
    rest = f"Date: Mon, 5 Jan 2026 10:00:00 +0000\nMessage-ID: <{word}@test>\nSubject: From the house\n"
    return word, f"{head}To: <{recipient}>\n{rest}\nHello, house.\n".encode()


def parameters(host: Host) -> dict[str, str]:
    """The parameters of main.cf: name -> value."""
    lines = host.run("postconf -n").out.splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}
