"""A real message, with a login, through the gateway: each step is a hop, and the first that fails is named.

A sandbox credential of two minutes is made for it and removed afterwards; one that an interrupted run left
is removed by the next. The message goes through Postfix, gatepost-sasl, gatepost-policy and gatepost-milter,
is recorded like any other, and discarded by the milter. Should that fail too, its recipient is at a domain
that cannot exist (RFC 2606), and it asks for no bounce (RFC 3461).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

from gatepost_cli import behind, smtp
from gatepost_cli.checks import probemail
from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_cli.checks.services import endpoint, entries, serving
from gatepost_cli.checks.tls import no_trust, own_trust, said
from gatepost_cli.waiting import wait
from gatepost_core.domain import MessageRecord, Mode
from gatepost_core.keys import KeyringError
from gatepost_core.postfix import Role, master_cf
from gatepost_core.spool import Ends
from gatepost_core.store import StoreError, StoreUnavailable, messages

# The port to submit to: the first of these that master.cf serves.
_ROLES: tuple[Role, ...] = ("submission", "submissions", "mx")
_SILENT = "look whether Postfix runs (the check postfix, its log), and at the check milter-socket"


def probe(context: Context) -> Iterator[Finding]:
    """Send the message, and look for its record."""
    if "store" not in context.settings.sasl.backends:
        yield good("probe", "not sent: sasl.backends has no store, so no credential can be made for it")
        return
    target = _target(context)
    if target is None:
        expected = "a service of Gatepost's in master.cf"
        yield fault("probe", "no port to submit to", expected, "look at postfix-master-cf")
        return
    session = _Session(context, *target)
    try:
        yield from session.hops()
    finally:
        session.close()


def _target(context: Context) -> tuple[Role, str, int, bool] | None:
    listed = entries(context)
    for role in _ROLES:
        for service in master_cf(context.settings):
            entry = serving(service, listed)
            if service.role == role and entry is not None:
                return role, *endpoint(context, entry), entry.proxied
    return None


def _advice(hop: str, refused: smtp.Refused, advice: str) -> str:
    """Add what a reply means that Postfix gives so early for its milter alone (milter_default_action)."""
    if hop in ("connect", "TLS", "MAIL") and refused.reply.code < 500:
        return f"so early, a 4xx is for a milter that is not there: see milter-socket; or else {advice}"
    return advice


def _log_of(daemon: str) -> str:
    return f"look at the log of gatepost-{daemon}, and the check {daemon}-socket"


class _Stopped(Exception):  # noqa: N818 - a hop's own finding
    """A hop failed: what was found, what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(found)
        self.found, self.expected = found, expected


class _Session:
    """One probe. Each hop is a method that returns what to say of it, or raises."""

    def __init__(self, context: Context, role: Role, host: str, port: int, proxied: bool) -> None:
        self._context = context
        self._proxied = proxied
        self._role = role
        self._address = host, port
        self._client: smtp.Client | None = None
        self._extensions: dict[str, str] = {}
        self._login: probemail.ProbeLogin | None = None
        self._queue_id = ""

    def hops(self) -> Iterator[Finding]:
        """Take one hop after the other, up to the first that fails."""
        hops: tuple[tuple[str, Callable[[], str], str], ...] = (
            ("connect", self._connect, _SILENT),
            ("TLS", self._encrypt, "look at the checks tls-certificate, ports, and sasl-socket"),
            ("credential", self._make, "look at the checks store and keys"),
            ("AUTH", self._authenticate, f"{_log_of('sasl')}, and the check keys"),
            ("MAIL", self._mail, "look at Postfix's log"),
            ("RCPT", self._recipient, _log_of("policy")),
            ("DATA", self._data, _log_of("policy")),
            ("end of message", self._message, _log_of("milter")),
            ("record", self._recorded, "look at smtpd_milters in Postfix; gatepost-events: the check spool"),
            ("features", self._applied, "'gatepost message show' has the reasons; look at the milter's log"),
        )
        where = f"{self._address[0]}:{self._address[1]}"
        for name, take, advice in hops:
            hop = f"{name}, {where}"
            try:
                yield good(hop, take())
            except smtp.Refused as refused:
                yield fault(hop, f"refused: {refused}", "a positive reply", _advice(name, refused, advice))
                return
            except _Stopped as stopped:
                yield fault(hop, stopped.found, stopped.expected, advice)
                return
            except (OSError, StoreError, StoreUnavailable, KeyringError) as error:
                yield fault(hop, said(error), "an answer", advice)
                return

    def close(self) -> None:
        """End the session and remove the credential. Raises StoreUnavailable."""
        if self._client is not None:
            with self._client, suppress(OSError, smtp.Refused):
                self._client.command("QUIT", 221)
        if self._login is not None:
            probemail.forget(self._context, self._login)

    @property
    def _smtp(self) -> smtp.Client:
        assert self._client is not None  # noqa: S101 - connecting is the first hop
        return self._client

    @property
    def _known(self) -> probemail.ProbeLogin:
        assert self._login is not None  # noqa: S101 - made before AUTH
        return self._login

    def _connect(self) -> str:
        timeout = self._context.settings.doctor.timeout
        self._client = smtp.connect(*self._address, timeout, proxied=self._proxied)
        if self._role == "submissions":
            return "connected"
        return str(self._client.greeting())

    def _encrypt(self) -> str:
        hostname = self._context.hostname
        if self._role != "submissions":
            self._smtp.hello(hostname)
            self._smtp.command("STARTTLS", 220)
        self._smtp.encrypt(self._trust(), hostname)
        if self._role == "submissions":
            self._smtp.greeting()
        self._extensions = self._smtp.hello(hostname)
        return f"certificate verified for {hostname}"

    def _trust(self) -> ssl.SSLContext:
        try:
            return own_trust(self._context)
        except (OSError, ValueError):  # the file's own check says so
            return no_trust()

    def _make(self) -> str:
        self._login = probemail.make(self._context, datetime.now(UTC))
        return f"{self._login.username}, of account {self._login.account}, made for two minutes"

    def _authenticate(self) -> str:
        return str(self._smtp.plain(self._known.username, self._known.password))

    def _mail(self) -> str:
        return str(self._smtp.command(f"MAIL FROM:<{self._known.sender}>"))

    def _recipient(self) -> str:
        never = " NOTIFY=NEVER" if "DSN" in self._extensions else ""
        return str(self._smtp.command(f"RCPT TO:<{self._context.settings.doctor.probe_recipient}>{never}"))

    def _data(self) -> str:
        return str(self._smtp.command("DATA", 354))

    def _message(self) -> str:
        reply = str(self._smtp.content(probemail.lines(self._context, self._known, datetime.now(UTC))))
        self._queue_id = reply.rpartition("queued as ")[2].partition(" ")[0]
        return reply

    def _recorded(self) -> str:
        until = behind.reached(self._context)
        record = self._awaited(until)
        missing = behind.missing(self._context, until) if until and record is None else None
        if missing:
            raise _Stopped(f"message {self._queue_id} was accepted, and {missing}", "a record in the store")
        if record is None:
            raise _Stopped(
                f"message {self._queue_id} was accepted and is not recorded: it passed no milter of "
                f"Gatepost's, and is queued ('postsuper -d {self._queue_id}' removes it)",
                "a record of it in the store",
            )
        if record.mode is not Mode.SANDBOX:
            raise _Stopped(
                f"message {record.queue_id} is recorded as {record.mode}: the milter is of another release, "
                "and had it delivered",
                "a record in mode sandbox",
            )
        return f"message {record.id}, discarded"

    def _applied(self) -> str:
        record = self._record()
        missing = set(self._known.features) - set(record.applied if record else ())
        if record is None or missing:
            why = "; ".join(
                f"{name}: {(record.skipped if record else {}).get(name, '?')}" for name in missing
            )
            raise _Stopped(f"not applied: {why}", ", ".join(self._known.features))
        return ", ".join(sorted(record.applied))

    def _awaited(self, until: Ends | None) -> MessageRecord | None:
        """Return the record once the store has it; None when it has all of the spool, or never has."""

        def taken(found: MessageRecord | None) -> bool:
            return bool(found or (until is not None and behind.missing(self._context, until) is None))

        return wait(self._record, self._context.settings.doctor.timeout, over=taken) or self._record()

    def _record(self) -> MessageRecord | None:
        with self._context.journal() as connection:
            found = messages.recent(connection, limit=1, username=self._known.username)
        return found[0] if found else None
