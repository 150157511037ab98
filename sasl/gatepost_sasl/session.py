"""One connection of the Dovecot authentication protocol, sans-I/O.

| state | event | answer | next |
|---|---|---|---|
| new | VERSION 1 | | open |
| new | VERSION other than 1, or AUTH, CONT | close | |
| open | AUTH, mechanism asks | CONT | open, exchange pending |
| open | AUTH or CONT, login granted | OK | open |
| open | AUTH or CONT, login denied or response unusable | FAIL, at a fixed time after the request | open |
| open | AUTH or CONT, back end unavailable | close without an answer (Postfix: 454) | |
| open | CONT of an exchange that is not pending | FAIL, at the same time | open |
| open | CANCEL | | open |
| any | a line that breaks the protocol | close | |
| any | an unknown command | | same |

A client that gives up tells Postfix and Postfix tells nobody, so pending exchanges end by themselves.
Unknown, wrong, disabled and expired are refused with one text, at one time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gatepost_core.lineserver import Close, Output, Send
from gatepost_core.store.errors import StoreUnavailable
from gatepost_sasl import protocol
from gatepost_sasl.authenticator import Authenticator, BackendUnavailable, Denied, Peer
from gatepost_sasl.mechanisms import MECHANISMS, Challenge, Done, Mechanism, MechanismError
from gatepost_sasl.protocol import Auth, Cancel, Cont, Decoder, ProtocolError, Version

# Postfix writes "535 5.7.8 Error: authentication failed: " in front.
REFUSED = "wrong user name or password, or the credential is disabled or expired"
NOT_ENCRYPTED = "encryption is required first; use STARTTLS"
NOT_BASE64 = "the response is not base64"
NO_MECHANISM = "this mechanism is not on offer"
NOT_PENDING = "there was no answer for too long; begin again"

# Above smtpd_timeout (300 s), the longest that Postfix waits for the client's answer.
_PENDING_SECONDS = 330.0
_PENDING_MOST = 16

Result: TypeAlias = Literal["granted", "denied", "malformed", "unavailable"]


@dataclass(frozen=True, slots=True)
class Login:
    """One login that has ended, for log and metrics. ``reason`` is never shown to the client."""

    result: Result
    username: str
    peer: Peer
    mechanism: str
    reason: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """What all sessions of a daemon share. ``failure_delay`` is in seconds."""

    authenticator: Authenticator
    report: Callable[[Login], None]
    mechanisms: Collection[str] = ("PLAIN", "LOGIN")
    failure_delay: float = 0.25
    pid: int = 1


@dataclass(slots=True)
class _Exchange:
    """A login under way."""

    request: Auth
    mechanism: Mechanism
    peer: Peer
    expires: float


class Session:
    """The logic of one connection; see the table above. ``number`` tells connections apart."""

    def __init__(self, configuration: Configuration, number: int = 1) -> None:
        self._configuration = configuration
        self._number = number
        self._decoder = Decoder()
        self._open = False
        self._pending: dict[int, _Exchange] = {}
        self._mechanisms: Mapping[str, Callable[[], Mechanism]] = {
            name: MECHANISMS[name] for name in configuration.mechanisms
        }

    def start(self) -> Sequence[Output]:
        """Return the greeting."""
        configuration = self._configuration
        return [Send(protocol.greeting(self._mechanisms, configuration.pid, self._number))]

    def receive(self, data: bytes, now: float) -> Sequence[Output]:
        """Return the answers to what has arrived; nothing that arrives can make it raise."""
        outputs: list[Output] = []
        try:
            for line in self._decoder.lines(data):
                output = self._command(line, now)
                if output is not None:
                    outputs.append(output)
        except ProtocolError as error:
            outputs.append(Close(f"protocol error: {error}"))
        except (StoreUnavailable, BackendUnavailable) as error:
            outputs.append(Close(f"no answer: {error}", fault=True))
        return outputs

    def _command(self, line: bytes, now: float) -> Output | None:
        command = protocol.decode(line)
        if isinstance(command, Version):
            if command.major != protocol.MAJOR:
                raise ProtocolError(f"version {command.major}, expected {protocol.MAJOR}")
            self._open = True
        elif command is None:
            return None
        elif not self._open:
            raise ProtocolError(f"{type(command).__name__.upper()} before VERSION")
        elif isinstance(command, Auth):
            return self._auth(command, now)
        elif isinstance(command, Cont):
            return self._cont(command, now)
        elif isinstance(command, Cancel):
            self._pending.pop(command.id, None)
        return None

    def _auth(self, request: Auth, now: float) -> Output:
        earlier = self._pending.pop(request.id, None)
        if earlier is not None and earlier.expires > now:
            raise ProtocolError(f"AUTH id {request.id} is in use")
        peer = Peer(request.remote_ip, request.local_ip, request.service, request.secured)
        maker = self._mechanisms.get(request.mechanism)
        if maker is None:
            return self._malformed(request, peer, NO_MECHANISM, now)
        if not request.secured:
            return self._malformed(request, peer, NOT_ENCRYPTED, now)
        return self._step(_Exchange(request, maker(), peer, now + _PENDING_SECONDS), request.response, now)

    def _cont(self, command: Cont, now: float) -> Output:
        exchange = self._pending.pop(command.id, None)
        if exchange is None or exchange.expires <= now:
            return self._fail(command.id, NOT_PENDING, now)
        return self._step(exchange, command.response, now)

    def _step(self, exchange: _Exchange, response: bytes | None, now: float) -> Output:
        """Give the mechanism a response, and the back end what comes out of it."""
        try:
            outcome = exchange.mechanism.next(
                None if response is None else protocol.decode_response(response)
            )
        except MechanismError as error:
            return self._malformed(exchange.request, exchange.peer, str(error), now)
        except ValueError:
            return self._malformed(exchange.request, exchange.peer, NOT_BASE64, now)
        if isinstance(outcome, Challenge):
            self._remember(exchange, now)
            return Send(protocol.challenge(exchange.request.id, outcome.data))
        return self._decide(exchange, outcome, now)

    def _decide(self, exchange: _Exchange, who: Done, now: float) -> Output:
        try:
            verdict = self._configuration.authenticator.authenticate(
                who.username, who.password, exchange.peer
            )
        except (StoreUnavailable, BackendUnavailable) as error:
            self._report("unavailable", who.username, exchange, str(error))
            raise
        if isinstance(verdict, Denied):
            self._report("denied", who.username, exchange, verdict.reason)
            return self._fail(exchange.request.id, REFUSED, now)
        self._report("granted", verdict.username, exchange, verdict.note)
        return Send(protocol.success(exchange.request.id, verdict.username))

    def _malformed(self, request: Auth, peer: Peer, text: str, now: float) -> Output:
        self._configuration.report(Login("malformed", "", peer, request.mechanism, text))
        return self._fail(request.id, text, now)

    def _fail(self, request: int, text: str, now: float) -> Output:
        return Send(protocol.failure(request, text), now + self._configuration.failure_delay)

    def _report(self, result: Result, username: str, exchange: _Exchange, reason: str) -> None:
        login = Login(result, username, exchange.peer, exchange.request.mechanism, reason)
        self._configuration.report(login)

    def _remember(self, exchange: _Exchange, now: float) -> None:
        """Keep an exchange until its answer; drop what has expired, and the oldest of too many."""
        for request in [key for key, other in self._pending.items() if other.expires <= now]:
            del self._pending[request]
        if len(self._pending) >= _PENDING_MOST:
            del self._pending[next(iter(self._pending))]
        self._pending[exchange.request.id] = exchange
