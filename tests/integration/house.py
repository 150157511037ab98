"""A mail server made by hand: mailboxes, forwards by postsrsd, opendkim, a content filter, its own port 25.

Nothing of Gatepost is in it. ``flows`` sends everything that such a server does, and returns what arrived and
what was refused, so that two runs can be compared: ids, dates and signatures' values, which differ each time,
are masked.
"""

from __future__ import annotations

import re
import shutil
import smtplib
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

from gatepost_bench import opendkim
from gatepost_stack import delivery, layout, process
from gatepost_stack.instance import _INTERNAL_SERVICES, HOST, Postfix
from gatepost_stack.stack import Stack, free_ports
from tests.waiting import until

NAME = "house.example.test"
LOCAL = "bob@local.house.test"
VIRTUAL = "carol@shop.house.test"
FORWARD = "info@fwd.house.test"
OUTSIDE = "friend@example.org"
OUTSIDER = "dave@example.net"
INSIDER = "alice@example.test"  # whom opendkim signs for
_SECONDS = 30.0
_numbers = count(1)

_MAIN = """\
# Made by hand over the years; please keep the comments.
compatibility_level = 3.6
myhostname = {name}
mydestination = $myhostname,
    local.house.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
queue_directory = {queue}
data_directory = {data}
maillog_file = {log}
maillog_file_prefixes = {logs}
smtpd_peername_lookup = no

alias_maps = texthash:{folder}/aliases
alias_database =
virtual_mailbox_domains = shop.house.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{{{carol@shop.house.test=carol/}}}}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_alias_domains = fwd.house.test
virtual_alias_maps = inline:{{{{{forward}={outside}}}}}
# What leaves here goes to the provider.
default_transport = smtp:[127.0.0.1]:{sink}
disable_dns_lookups = yes

# postsrsd
sender_canonical_maps = {srs_forward}
sender_canonical_classes = envelope_sender
recipient_canonical_maps = {srs_reverse}
recipient_canonical_classes = envelope_recipient, header_recipient

smtpd_milters = {dkim}
non_smtpd_milters = $smtpd_milters
milter_default_action = accept
content_filter = filter:dummy
smtpd_helo_required = yes
message_size_limit = 200000
"""
_MASTER = """\
# The house's own services.
{port} inet n - n - - smtpd
127.0.0.1:{again} inet n - n - - smtpd
  -o content_filter=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_milters
  -o mynetworks=127.0.0.0/8
  -o smtpd_helo_required=no
filter unix - n n - 10 pipe
  flags=Rq user=nobody null_sender=
  argv=/usr/bin/python3 {folder}/filter.py {again} ${{sender}} ${{recipient}}
virtual unix - n n - - virtual
local unix - n n - - local
"""
_FILTER = """\
import smtplib, sys
again, sender, *recipients = sys.argv[1:]
message = b"X-House-Filter: seen\\n" + sys.stdin.buffer.read()
with smtplib.SMTP("127.0.0.1", int(again)) as connection:
    connection.sendmail(sender, recipients, message)
"""
_MASKS = (
    (rb"\bid [0-9A-Za-z]+\b", b"id QUEUE"),
    (rb"(?m)^\t(for <[^>]*>; |id QUEUE; |)\w{3}, +\d+ \w{3} \d{4} [\d:]+ .*$", rb"\t\1DATE"),
    (rb"\bt=\d+;", b"t=TIME;"),
    (rb"\bb=[A-Za-z0-9+/=]+(\r?\n[ \t]+[A-Za-z0-9+/=]+)*(?=\r?\n)", b"b=SIGNATURE"),
    (rb"SRS0=[^=]+=[^=]+=", b"SRS0=HASH="),
    (rb"\(Postfix, from userid \d+\)", b"(Postfix, from userid 0)"),
    (rb"m\d+@test", b"mNUMBER@test"),
    (rb"; \w{3}, +\d+ \w{3} \d{4} [\d:]+ .*", b"; DATE"),
)


class House:
    """The running server. ``files`` are main.cf and master.cf as they are now."""

    def __init__(self, places: layout.Layout, folder: Path, port: int, sink: Path) -> None:
        self.places, self.folder, self.port, self._sink = places, folder, port, sink

    @property
    def files(self) -> tuple[str, str]:
        return (self.places.postfix / "main.cf").read_text(), (self.places.postfix / "master.cf").read_text()

    def flows(self) -> dict[str, bytes]:
        """Send what the server is for; return what became of each, with what differs each time masked."""
        found = {
            **self.received(),
            "forwarded": self._sent_on(FORWARD, self.by_port),
            "own program": self._sent_on(OUTSIDE, self.by_program),
        }
        for name, recipient in (("unknown", "nobody-here@local.house.test"), ("relay", OUTSIDE)):
            found[name] = self._refused(recipient)
        return found

    def received(self) -> dict[str, bytes]:
        """Send to the mailboxes alone."""
        return {
            "local": self._received(LOCAL, self.local),
            "virtual": self._received(VIRTUAL, self.virtual),
        }

    def by_port(self, recipient: str, message: bytes, sender: str = OUTSIDER) -> None:
        """Bring a message as other servers do: where nobody greets, they come again.

        An smtpd(8) that takes a connection just when Postfix reads its settings anew ends without a word.
        """
        with until(self._greeted, "a greeting", _SECONDS) as connection:
            connection.sendmail(sender, [recipient], message)

    def _greeted(self) -> smtplib.SMTP | None:
        try:
            return smtplib.SMTP(HOST, self.port, timeout=_SECONDS)
        except (smtplib.SMTPServerDisconnected, ConnectionResetError):
            return None

    def by_program(self, recipient: str, message: bytes) -> None:
        words = ["/usr/sbin/sendmail", "-C", str(self.places.postfix), "-f", INSIDER, recipient]
        subprocess.run(words, input=message.replace(b"\r\n", b"\n"), check=True)

    def local(self) -> Path:
        return self.folder / "mail" / "bob"

    def virtual(self) -> Path:
        return self.folder / "mail" / "carol"

    def wait_for(self, maildir: Path, word: bytes) -> bytes:
        """Return the message in a mailbox that holds ``word``."""

        def look() -> bytes | None:
            return next(
                (text for text in map(Path.read_bytes, (maildir / "new").glob("*")) if word in text), None
            )

        log = self.places.logs / "postfix.log"
        return until(look, lambda: f"{word!r}; the log:\n{process.tail(log)}", _SECONDS)

    def wait_in_sink(self, word: bytes) -> delivery.Delivered:
        return delivery.wait_for(self._sink, lambda item: word in item.message)

    def _received(self, recipient: str, maildir: Callable[[], Path]) -> bytes:
        word, message = letter(OUTSIDER)
        self.by_port(recipient, message)
        return masked(self.wait_for(maildir(), word))

    def _sent_on(self, recipient: str, send: Callable[[str, bytes], None]) -> bytes:
        word, message = letter(INSIDER)
        send(recipient, message)
        item = self.wait_in_sink(word)
        envelope = f"{item.sender} {item.recipients}\n".encode()
        return masked(envelope + item.message)

    def _refused(self, recipient: str) -> bytes:
        try:
            self.by_port(recipient, letter(OUTSIDER)[1])
        except smtplib.SMTPRecipientsRefused as refused:
            (reply,) = refused.recipients.values()
            return b"%d %s" % reply
        return b"accepted"


def letter(sender: str) -> tuple[bytes, bytes]:
    """Return a word that no other message holds, and a message with it."""
    word = b"m%d@test" % next(_numbers)
    fields = [
        b"From: <%s>" % sender.encode(),
        b"To: <someone@example.org>",
        b"Date: Mon, 5 Jan 2026 10:00:00 +0000",
        b"Message-ID: <%s>" % word,
        b"Subject: From the house",
    ]
    return word, b"\r\n".join([*fields, b"", b"Hello, house.", b""])


def masked(text: bytes) -> bytes:
    """Return a message without what differs from one to the next."""
    for pattern, mask in _MASKS:
        text = re.sub(pattern, mask, text)
    return text


@contextmanager
def house(var: Path, stack: Stack, port: int = 0) -> Iterator[House]:
    """Run the server, on a port or any that is free; what leaves it goes to the stack's sink."""
    places = layout.plan(var)
    with ExitStack() as held:
        held.callback(places.close)
        places.prepare()
        folder = places.runtime / "house"
        for place in (folder, folder / "mail"):
            place.mkdir(mode=0o755)
        shutil.chown(folder / "mail", "nobody")
        anywhere, again, _ = free_ports()
        port = port or anywhere
        signer = held.enter_context(opendkim.signer())
        forward, reverse = held.enter_context(_postsrsd(folder))
        found = re.search(r"^default_transport = smtp:\[127\.0\.0\.1\]:(\d+)$", _main_of(stack), re.MULTILINE)
        assert found
        values = {
            "name": NAME, "queue": places.queue, "data": places.data, "logs": places.logs,
            "log": places.logs / "postfix.log", "folder": folder, "forward": FORWARD, "outside": OUTSIDE,
            "sink": found[1], "srs_forward": forward, "srs_reverse": reverse, "dkim": f"unix:{signer.socket}",
        }  # fmt: skip
        (folder / "aliases").write_text(f"bob {folder}/mail/bob/\n")
        (folder / "filter.py").write_text(_FILTER)
        (places.postfix / "main.cf").write_text(_MAIN.format(**values))
        master = _MASTER.format(port=port, again=again, folder=folder)
        # A pickup that hands local mail on without the filter, as the manual has it.
        internal = _INTERNAL_SERVICES.replace("pickup\n", "pickup\n  -o content_filter=\n", 1)
        (places.postfix / "master.cf").write_text(master + internal)
        postfix = Postfix(places, {"smtp": port}, int(found[1]))
        held.callback(postfix.stop)
        postfix.start()
        yield House(places, folder, port, stack.layout.delivered)


def _main_of(stack: Stack) -> str:
    return (stack.layout.postfix / "main.cf").read_text()


@contextmanager
def _postsrsd(folder: Path) -> Iterator[tuple[str, str]]:
    """Run Debian's postsrsd; yield its tables for senders and for recipients."""
    program = shutil.which("postsrsd", path="/usr/sbin")
    assert program, "postsrsd is missing; run script/bootstrap test"
    (folder / "srs.secret").write_text("a secret of the house\n")
    first, second, _ = free_ports()
    words = [f"-s{folder}/srs.secret", f"-d{NAME}", f"-f{first}", f"-r{second}", "-4"]
    server = process.start([program, *words], folder / "postsrsd.log")
    try:
        for port in (first, second):
            _wait_until_open(port, server)
        yield f"tcp:127.0.0.1:{first}", f"tcp:127.0.0.1:{second}"
    finally:
        process.stop(server)


def _wait_until_open(port: int, server: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        with socket.socket() as probe:
            return server.poll() is not None or probe.connect_ex((HOST, port)) == 0

    until(answers, "an answer of postsrsd", _SECONDS)
    assert server.poll() is None, "postsrsd did not start"
