"""One connection of the Dovecot authentication protocol, sans-I/O.

| state | event | answer | next |
|---|---|---|---|
| new | VERSION 1 | | open |
| new | VERSION other than 1, or AUTH, CONT | close | |
| open | AUTH, mechanism asks | CONT | open, exchange pending |
| open | AUTH or CONT, login granted | OK | open |
| open | CONT, SCRAM's proof is good | CONT with our own proof | open, exchange pending |
| open | the empty CONT after it | OK | open |
| open | AUTH or CONT, login denied or response unusable | FAIL, at a fixed time after the request | open |
| open | AUTH or CONT, locked out for guessing | the same FAIL, at the time of the latest failure | open |
| open | AUTH or CONT, no back end, or no turn (turns.py) | close without an answer (Postfix: 454) | |
| open | CONT of an exchange that is not pending | FAIL, at the same time | open |
| open | CANCEL | | open |
| any | a line that breaks the protocol | close | |
| any | CPID: which smtpd it is, noted with each login | | same |
| any | an unknown command | | same |

A client that gives up tells Postfix and Postfix tells nobody, so pending exchanges end by themselves.
Unknown, wrong, disabled, expired and locked out are refused with one text; the time depends only on
the number of failures (``domain.logins.guessing``). SMTP's success carries no data, and Postfix drops what
Dovecot's ``OK`` may carry (xsasl_dovecot_server.c), so SCRAM's last message is a challenge (RFC 4954 section
4).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, TypeAlias

from gatepost_core.domain import StoreUnavailable
from gatepost_core.domain.logins.guessing import Attempt, Guard, Hold, Scope, delayed
from gatepost_core.serving import Close, Later, Output, Send
from gatepost_sasl import protocol
from gatepost_sasl.authenticator import Authenticator, BackendUnavailable, Denied, Granted, Peer, Verdict
from gatepost_sasl.mechanisms import MECHANISMS, SCRAM, Challenge, Done, Mechanism, MechanismError, Proof
from gatepost_sasl.protocol import Auth, Cancel, Command, Cont, Decoder, ProtocolError, Version
from gatepost_sasl.slowest import Slowest

# Postfix writes "535 5.7.8 Error: authentication failed: " in front.
REFUSED = "wrong user name or password, or the credential is disabled or expired"
NOT_ENCRYPTED = "encryption is required first; use STARTTLS"
NOT_BASE64 = "the response is not base64"
NOT_EMPTY = "the answer to the server's last message must be empty"
NO_MECHANISM = "this mechanism is not on offer"
NOT_PENDING = "there was no answer for too long; begin again"

# Above smtpd_timeout (300 s), the longest that Postfix waits for the client's answer.
_PENDING_SECONDS = 330.0
_PENDING_MOST = 16

Result: TypeAlias = Literal["granted", "denied", "locked", "malformed", "unavailable"]


class EndedLogin(NamedTuple):
    """One login that has ended, for log and metrics. ``reason`` is never shown to the client.

    ``lockout`` says what this failure has locked out, or what was locked out before it.
    """

    result: Result
    username: str
    peer: Peer
    mechanism: str
    reason: str
    lockout: Scope = ""


# A login's turn to be checked, where that takes its time: waits, and gives who is locked out meanwhile.
# Raises BackendUnavailable (turns.py).
Turn: TypeAlias = Callable[[Attempt], AbstractContextManager[Scope]]


def _whoever_comes(attempt: Attempt) -> AbstractContextManager[Scope]:
    """Let nobody wait."""
    del attempt
    return nullcontext("")


def _unnoted(pid: int, granted: Granted) -> None:
    """Note a login nowhere."""
    del pid, granted


class Scram(Protocol):
    """SCRAM-SHA-256 with somebody's keys."""

    def mechanism(self) -> Mechanism:
        """Return a new exchange."""
        ...

    def conclude(self, proof: Proof, peer: Peer) -> Verdict:
        """Say whether who gave the proof may log in. Raises StoreUnavailable or BackendUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Configuration:
    """What all sessions of a daemon share. ``failure_delay`` is in seconds; ``slowest`` may make it longer.

    ``guard`` counts failures; ``scram`` is needed where ``mechanisms`` name it. ``note``
    is told of each login that is granted, and the process id of the smtpd(8) that it is on; must not fail.
    ``turn`` is taken by checks that take their time.
    """

    authenticator: Authenticator
    report: Callable[[EndedLogin], None]
    guard: Guard
    mechanisms: Collection[str] = ("PLAIN", "LOGIN")
    failure_delay: float = 0.25
    pid: int = 1
    scram: Scram | None = None
    slowest: Slowest = field(default_factory=Slowest)
    note: Callable[[int, Granted], object] = _unnoted
    turn: Turn = _whoever_comes


@dataclass(slots=True)
class _Exchange:
    """A login under way; ``granted`` once it only waits for the client to take our proof."""

    request: Auth
    mechanism: Mechanism
    expires: float
    granted: Granted | None = None


class AuthSession:
    """The logic of one connection; see the table above. ``number`` tells connections apart."""

    def __init__(self, configuration: Configuration, number: int = 1) -> None:
        self._configuration = configuration
        self._number = number
        self._decoder = Decoder()
        self._open = False
        self._client = 0
        self._pending: dict[int, _Exchange] = {}
        makers = dict(MECHANISMS)
        if configuration.scram is not None:
            makers[SCRAM] = configuration.scram.mechanism
        self._mechanisms: Mapping[str, Callable[[], Mechanism]] = {
            name: makers[name] for name in configuration.mechanisms
        }

    def start(self) -> Sequence[Output]:
        """Return the greeting."""
        configuration = self._configuration
        return [Send(protocol.greeting(self._mechanisms, configuration.pid, self._number))]

    def receive(self, data: bytes, now: float) -> Sequence[Output]:
        """Return the answers to what has arrived; nothing that arrives can make it raise."""
        outputs: list[Output] = []
        output: Output | None
        try:
            for line in self._decoder.lines(data):
                command = protocol.decode(line)
                if isinstance(command, Auth) and self._open:  # nearly every command
                    output = self._auth(command, now)
                elif command is None:
                    self._client = protocol.client_of(line) or self._client
                    continue
                else:
                    output = self._command(command, now)
                if output is not None:
                    outputs.append(output)
        except ProtocolError as error:
            outputs.append(Close(f"protocol error: {error}"))
        except (StoreUnavailable, BackendUnavailable) as error:
            outputs.append(Close(f"no answer: {error}", fault=True))
        return outputs

    def _command(self, command: Command, now: float) -> Output | None:
        if isinstance(command, Version):
            if command.major != protocol.MAJOR:
                raise ProtocolError(f"version {command.major}, expected {protocol.MAJOR}")
            self._open = True
        elif not self._open:
            raise ProtocolError(f"{type(command).__name__.upper()} before VERSION")
        elif isinstance(command, Cont):
            return self._cont(command, now)
        elif isinstance(command, Cancel):
            self._pending.pop(command.id, None)
        return None

    def _auth(self, request: Auth, now: float) -> Output:
        earlier = self._pending.pop(request.id, None) if self._pending else None
        if earlier is not None and earlier.expires > now:
            raise ProtocolError(f"AUTH id {request.id} is in use")
        maker = self._mechanisms.get(request.mechanism)
        if maker is None:
            return self._malformed(request, NO_MECHANISM, now)
        if not request.peer.secured:
            return self._malformed(request, NOT_ENCRYPTED, now)
        return self._step(_Exchange(request, maker(), now + _PENDING_SECONDS), request.response, now)

    def _cont(self, command: Cont, now: float) -> Output:
        exchange = self._pending.pop(command.id, None)
        if exchange is None or exchange.expires <= now:
            return self._fail(command.id, NOT_PENDING, now)
        return self._step(exchange, command.response, now)

    def _step(self, exchange: _Exchange, response: bytes | None, now: float) -> Output:
        """Give the mechanism a response, and the back end what comes out of it."""
        try:
            data = None if response is None else protocol.decode_response(response)
            if exchange.granted is not None:
                return self._taken(exchange, exchange.granted, data, now)
            outcome = exchange.mechanism.next(data)
        except MechanismError as error:
            return self._malformed(exchange.request, str(error), now)
        except ValueError:
            return self._malformed(exchange.request, NOT_BASE64, now)
        except (StoreUnavailable, BackendUnavailable) as error:  # SCRAM's keys cannot be read
            self._report("unavailable", "", exchange, str(error))
            raise
        if isinstance(outcome, Challenge):
            self._remember(exchange, now)
            return Send(protocol.challenge(exchange.request.id, outcome.data))
        return self._decide(exchange, outcome, now)

    def _decide(self, exchange: _Exchange, who: Done | Proof, now: float) -> Output:
        """Ask the back end, unless this user or network is locked out."""
        peer = exchange.request.peer
        attempt = self._configuration.guard.attempt(who.username, peer.remote_ip, now)
        if attempt.locked:
            return self._locked_out(exchange, who, attempt, attempt.locked, now)
        try:
            if isinstance(who, Done):
                asked = self._configuration.authenticator
                verdict = asked.at_once(who.username, who.password, peer)
            else:
                verdict = self._proved(exchange, who)
        except (StoreUnavailable, BackendUnavailable) as error:
            self._report("unavailable", who.username, exchange, str(error))
            raise
        if verdict is None:
            return Later(lambda: self._concluded_later(exchange, who, attempt, now))
        return self._concluded(exchange, who, attempt, verdict, now)

    def _concluded_later(
        self, exchange: _Exchange, who: Done | Proof, attempt: Attempt, now: float
    ) -> Sequence[Send | Close]:
        """Conclude in a thread of the line server's; what cannot be told closes the connection as well."""
        assert isinstance(who, Done)  # noqa: S101 - a Proof is concluded at once
        try:
            with self._configuration.turn(attempt) as locked:
                if locked:
                    return [self._locked_out(exchange, who, attempt, locked, now)]
                asked = self._configuration.authenticator
                verdict = asked.authenticate(who.username, who.password, exchange.request.peer)
                return [self._concluded(exchange, who, attempt, verdict, now)]
        except (StoreUnavailable, BackendUnavailable) as error:
            self._report("unavailable", who.username, exchange, str(error))
            return [Close(f"no answer: {error}", fault=True)]

    def _locked_out(
        self, exchange: _Exchange, who: Done | Proof, attempt: Attempt, locked: Scope, now: float
    ) -> Send:
        """Return the refusal of a login that nobody looks at."""
        self._report("locked", who.username, exchange, f"{locked} locked out", locked)
        return self._fail(exchange.request.id, REFUSED, now, self._configuration.guard.refused(attempt))

    def _proved(self, exchange: _Exchange, who: Proof) -> Verdict:
        """Return what follows from SCRAM's proof."""
        assert self._configuration.scram is not None  # noqa: S101 - a Proof comes of its mechanism
        return self._configuration.scram.conclude(who, exchange.request.peer)

    def _concluded(
        self, exchange: _Exchange, who: Done | Proof, attempt: Attempt, verdict: Verdict, now: float
    ) -> Send:
        """Return the answer that follows from what the back end says."""
        if isinstance(verdict, Denied):
            hold = self._configuration.guard.failed(attempt, now)
            self._report("denied", who.username, exchange, verdict.reason, hold.lockout)
            return self._fail(exchange.request.id, REFUSED, now, hold, verdict.wait)
        if attempt.failures or attempt.late:
            self._configuration.guard.succeeded(attempt, now)
        later = now + self._delay(Hold(attempt.late)) if attempt.late else None
        if isinstance(who, Proof):
            exchange.granted = verdict
            self._remember(exchange, now)
            return Send(protocol.challenge(exchange.request.id, who.data), later)
        return self._grant(exchange, verdict, later)

    def _taken(self, exchange: _Exchange, granted: Granted, response: bytes | None, now: float) -> Output:
        """Grant what waits only for the client's empty answer to our proof."""
        if response:
            return self._malformed(exchange.request, NOT_EMPTY, now)
        return self._grant(exchange, granted)

    def _grant(self, exchange: _Exchange, granted: Granted, not_before: float | None = None) -> Send:
        request = exchange.request
        if self._client:
            self._configuration.note(self._client, granted)
        self._configuration.report(
            EndedLogin("granted", granted.username, request.peer, request.mechanism, granted.note)
        )
        return Send(protocol.success(request.id, granted.username), not_before)

    def _malformed(self, request: Auth, text: str, now: float) -> Output:
        self._configuration.report(EndedLogin("malformed", "", request.peer, request.mechanism, text))
        return self._fail(request.id, text, now)

    def _fail(self, request: int, text: str, now: float, hold: Hold | None = None, wait: float = 0.0) -> Send:
        return Send(protocol.failure(request, text), now + max(wait, self._delay(hold or Hold())))

    def _delay(self, hold: Hold) -> float:
        return delayed(self._configuration.slowest.delay(self._configuration.failure_delay), hold)

    def _report(
        self, result: Result, username: str, exchange: _Exchange, reason: str, lockout: Scope = ""
    ) -> None:
        request = exchange.request
        login = EndedLogin(result, username, request.peer, request.mechanism, reason, lockout)
        self._configuration.report(login)

    def _remember(self, exchange: _Exchange, now: float) -> None:
        """Keep an exchange until its answer; drop what has expired, and the oldest of too many."""
        for request in [key for key, other in self._pending.items() if other.expires <= now]:
            del self._pending[request]
        if len(self._pending) >= _PENDING_MOST:
            del self._pending[next(iter(self._pending))]
        self._pending[exchange.request.id] = exchange
