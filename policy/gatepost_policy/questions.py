"""What Postfix asks, and the decision: pure but for the look-ups that are passed in.

| state | login | decision |
|---|---|---|
| RCPT | yes | as at DATA, and whether the recipient is suppressed |
| RCPT | no | a bounce domain's valid token, or feedback address, on a port that takes bounces; else refused |
| DATA | yes | TLS, the credential's state, the session's login and network, envelope sender and whose it |
| | | is, the recipient if there is one, and limits that are used up |
| DATA | yes | and the route that the message takes; at RCPT, that it is there, and no bounce domain's mail |
| DATA | no | the same as at RCPT, and so one recipient only |
| any other | | none: END-OF-MESSAGE above all, where a refusal breaks Postfix 3.7's transaction |

DATA trusts nothing that RCPT was asked: smtpd(8) takes ``<postmaster>`` and its own address-probe sender
without asking (smtpd_check_rcpt, rcpt_cmd). At DATA it names the recipient if there is one, and none if
there are several; then nobody can tell what was let in, and without a login that is a refusal. A bounce
goes to one address, the envelope sender of one message, so none is lost.

Each decision depends on the request and the store alone, so a question that Postfix asks again, after
a dropped connection, gets the same answer and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from gatepost_core.domain import (
    AUTHENTICATION_REQUIRED,
    Credential,
    Decision,
    Defer,
    Pass,
    Reject,
    WallMode,
    suppressing,
)
from gatepost_core.domain.limits import DEFAULT_ZONE
from gatepost_core.domain.logins import STANDS, GrantedLogin, judge
from gatepost_core.domain.rules import (
    TLS_REQUIRED,
    catalogue,
    check_envelope_sender,
    normal_domain,
)
from gatepost_core.domain.rules.asking import Asked, Stage
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.domain.walls import Walls
from gatepost_core.keys.tokens import Origin
from gatepost_policy.protocol import Request, number

NOT_ASKED = Pass("nothing to decide in this state")
_ONE_RECIPIENT = Reject(
    530,
    "5.7.0",
    "Authentication required; without it a message has one recipient",
    "no login, several recipients",
)


class Directory(Protocol):
    """What is needed of the store's reader. All raise StoreUnavailable."""

    def credential(self, username: str) -> Credential | None:
        """Return the credential of that name as it is now."""
        ...

    def bounce_domain(self, name: str) -> bool:
        """Say whether bounces of a sender domain arrive at that name."""
        ...

    def suppressions(self, account_id: int, credential: str, keys: Sequence[str]) -> Sequence[Suppression]:
        """Return what an account has of these addresses, for all its mail or that of a credential."""
        ...


class Logins(Protocol):
    """Knows who logged in when on which smtpd(8)."""

    def of(self, instance: str, username: str) -> GrantedLogin | None:
        """Return the login of the session that a transaction is in; None when it is not known."""
        ...


class Limits(Protocol):
    """Knows which limits are used up."""

    def refusal(self, credential: Credential, request: Request) -> Decision | None:
        """Return the refusal of what no limit has room for. Raises StoreUnavailable."""
        ...


class _NoLogins:
    def of(self, instance: str, username: str) -> None:
        """Know of none."""
        del instance, username


class BounceTokens(Protocol):
    """Knows the local parts that were given out as envelope senders."""

    def verify(self, local_part: str, host: str) -> Origin | None:
        """Return what a valid token of a bounce domain holds, else None."""
        ...


class Questions:
    """Decides. ``bounce_ports`` are the SMTP ports that take bounces; ``now`` gives the time in UTC.

    ``walls`` stand between accounts. Without ``logins`` nobody's is known, without ``limits`` there
    are none. ``feedback``: the local part at each bounce domain that takes complaints; '' for none.
    ``time_zone``: that of accounts without one of their own.
    ``routes``: ways out by their names, as Postfix names them.
    """

    def __init__(  # noqa: PLR0913 - what decides is what it is made of
        self,
        directory: Directory,
        bounce_tokens: BounceTokens,
        bounce_ports: Iterable[int],
        now: Callable[[], datetime],
        walls: Walls,
        logins: Logins | None = None,
        *,
        feedback: str = "",
        limits: Limits | None = None,
        time_zone: str = DEFAULT_ZONE,
        routes: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        self._bounce_tokens = bounce_tokens
        self._bounce_ports = frozenset(str(port) for port in bounce_ports)
        self._now = now
        self._walls = walls
        self._logins = logins or _NoLogins()
        self._feedback = feedback.lower()
        self._limits = limits
        self._time_zone = time_zone
        self._routes = routes or {}

    def decide(self, request: Request) -> Decision:
        """Return what to answer. Raises StoreUnavailable."""
        state = request["protocol_state"]
        if state not in ("RCPT", "DATA"):
            return NOT_ASKED
        decision: Decision = NOT_ASKED
        for _, found in self.steps(request):
            if found is None:
                continue
            decision = found
            if found.__class__ is not Pass:
                break
        return decision

    def steps(self, request: Request) -> Iterator[tuple[str, Decision | None]]:
        """Yield what is looked at at RCPT or DATA, one after the other, with what comes of it (None: nothing
        against it). What comes after a refusal is not to be asked for. Raises StoreUnavailable."""
        username = request.get("sasl_username")
        if not username:
            yield "no login", self._without_login(request)
            return
        if not request.get("encryption_protocol"):
            yield "TLS", TLS_REQUIRED
            return
        credential = self._directory.credential(username)
        login = self._logins.of(request.get("instance", ""), username) if credential is not None else None
        now = self._now()
        # The session's login may be hours old: it is held against the credential as it is now.
        judged = judge(credential, username, now, login, request.get("client_address", ""))
        yield "login, state, network", judged
        if credential is None or judged is not STANDS:
            return
        sender = self._sender(credential, request.get("sender", ""))
        yield "sender", sender
        if credential.rules.held:
            for rule, refused in catalogue.steps(credential, self._asked(credential, request, now)):
                yield rule.title, refused
        if request["protocol_state"] == "RCPT":
            yield "suppression", self._suppressed(credential, request.get("recipient", ""), now)
        if self._limits is not None:
            yield "limits", self._limits.refusal(credential, request)
        if credential.route:  # the last: it is what Postfix hears where nothing speaks against the message
            yield "route", self._routed(credential, sender.reason, request)

    def _asked(self, credential: Credential, request: Request, now: datetime) -> Asked:
        """Return what rules are asked. At DATA no recipient is named where there are several."""
        recipient = request.get("recipient", "")
        at_rcpt = request["protocol_state"] == "RCPT"
        return Asked(
            Stage.RCPT if at_rcpt else Stage.DATA,
            now,
            credential.allowance.time_zone or self._time_zone,
            recipients=(recipient,) if at_rcpt or recipient else (),
            total=number(request, "recipient_count"),
            size=number(request, "size"),
            tls=request["encryption_protocol"],
        )

    def _routed(self, credential: Credential, reason: str, request: Request) -> Decision | None:
        """Return at DATA the route that a credential's messages take, which must be there.

        It takes all recipients of a message: bounces would leave by it, too. ``reason``: why it passes.
        """
        name, recipient = credential.route, request.get("recipient", "")
        way = self._routes.get(name)
        if way is None:
            return Defer(
                451,
                "4.3.5",
                f"The route {name} of credential {credential.username} is not set up; try again later",
                "route gone",
            )
        if recipient and self._directory.bounce_domain(normal_domain(recipient.rpartition("@")[2])):
            return Reject(
                550,
                "5.7.1",
                f"Mail of credential {credential.username} takes the route {name}, which leads to no bounce "
                "address; send it by another credential",
                "bounce domain, and a route",
            )
        if request["protocol_state"] != "DATA":
            return None
        return Pass("; ".join([one for one in (reason, f"route {name}") if one]), way)

    def _suppressed(self, credential: Credential, recipient: str, now: datetime) -> Decision | None:
        """Return a refusal where the recipient is suppressed."""
        found = self._directory.suppressions(
            credential.account_id, credential.username, suppressing.keys(recipient)
        )
        if not found:
            return None
        transactional = credential.options.transactional
        standing = suppressing.in_force(found, now, transactional=transactional)
        return None if standing is None else suppressing.refusal(standing, credential.account, recipient)

    def _sender(self, credential: Credential, sender: str) -> Decision:
        """Hold an envelope sender against the credential's rules, and against other accounts' domains."""
        decision = check_envelope_sender(credential, sender)
        if decision.__class__ is not Pass or not sender:
            return decision
        refusal = self._walls.envelope(credential, sender)
        if refusal is None:
            return decision
        if self._walls.mode() is WallMode.ENFORCE:
            return refusal
        return Pass(f"walls only report; would be refused: {refusal} ({refusal.reason})")

    def _without_login(self, request: Request) -> Decision:
        if request.get("server_port") in self._bounce_ports:
            recipient = request.get("recipient", "")
            if not recipient and request["protocol_state"] == "DATA":
                return _ONE_RECIPIENT
            what = self._bounce(recipient)
            if what:
                return Pass(what)
        return AUTHENTICATION_REQUIRED if request.get("encryption_protocol") else TLS_REQUIRED

    def _bounce(self, recipient: str) -> str:
        """Return what mail to ``recipient`` is, for the log; '' where none is taken without a login."""
        local_part, _, domain = recipient.rpartition("@")
        host = normal_domain(domain)
        if self._feedback and local_part.lower() == self._feedback:
            return "feedback loop" if self._directory.bounce_domain(host) else ""
        origin = self._bounce_tokens.verify(local_part, host)
        if origin is None or not self._directory.bounce_domain(host):
            return ""
        return f"bounce of message {origin.message_id}"
