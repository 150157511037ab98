"""A transaction played against the rules, step by step, by the daemons' own code; nothing is sent or counted.

Policy's steps at RCPT and DATA, then what the milter knows at the end of the message without the message
itself: state, rules and limits. What only the message tells (From, overrides, features) is ``explanation``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from gatepost_cli import places
from gatepost_core.domain import Credential, Decision, Mode, Pass
from gatepost_core.domain.limits import Charges, Looking, verdicts
from gatepost_core.domain.logins import judge
from gatepost_core.domain.rules import catalogue
from gatepost_core.domain.rules.asking import Asked, Stage
from gatepost_core.domain.rules.catalogue import RULES
from gatepost_core.domain.rules.places import origin_of
from gatepost_core.domain.walls import Walls
from gatepost_core.keys import Keyring
from gatepost_core.keys.tokens import BounceTokens
from gatepost_core.postfix import destination
from gatepost_core.settings import Settings
from gatepost_core.store import Reader
from gatepost_policy.limits import LimitsLook
from gatepost_policy.questions import Questions

TLS = "TLSv1.3"


@dataclass(frozen=True, slots=True)
class Transaction:
    """What would be sent. ``size`` 0: not announced; ``client`` empty: one that may log in."""

    username: str
    sender: str
    recipients: tuple[str, ...]
    size: int = 0
    client: str = ""
    tls: str = TLS


@dataclass(frozen=True, slots=True)
class Step:
    """What was looked at, and what came of it; None: there is nothing against it."""

    stage: str
    rule: str
    decision: Decision | None

    @property
    def passed(self) -> bool:
        """Say whether the transaction goes on."""
        return self.decision is None or isinstance(self.decision, Pass)


def questions(
    settings: Settings, keyring: Keyring, reader: Reader, counters: Looking, now: datetime
) -> Questions:
    """Return gatepost-policy's own way to answer, as of ``now``, in UTC."""
    return Questions(
        reader,
        BounceTokens(keyring),
        settings.policy.bounce_ports,
        lambda: now,
        Walls(reader, settings.own_names, settings.accounts.wall_mode),
        limits=LimitsLook(
            Charges(settings.limits.defaults),
            counters,
            for_good=settings.limits.for_good,
            now=now.timestamp,
        ),
        time_zone=settings.limits.time_zone,
        routes={name: destination(name, one) for name, one in settings.routes.items()},
    )


def requests(mail: Transaction, credential: Credential | None) -> dict[str, str]:
    """Return what all of policy's questions about a transaction have in common."""
    networks = credential.rules.networks if credential is not None else ()
    return {
        "sasl_username": mail.username,
        "sender": mail.sender,
        "client_address": mail.client or next((one.partition("/")[0] for one in networks), ""),
        "encryption_protocol": mail.tls,
        "server_port": "587",
        "size": str(mail.size),
    }


class Trial:
    """Plays transactions as of ``now``, in UTC."""

    def __init__(
        self, settings: Settings, keyring: Keyring, reader: Reader, counters: Looking, now: datetime
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._counters = counters
        self._now = now
        self._charges = Charges(settings.limits.defaults)
        self._questions = questions(settings, keyring, reader, counters, now)

    def steps(self, mail: Transaction) -> Iterator[Step]:
        """Yield a transaction's steps; after a refusal come the next recipient's. Raises StoreUnavailable."""
        common = requests(mail, self._reader.credential(mail.username))
        taken: list[str] = []
        for recipient in mail.recipients:
            request = {**common, "protocol_state": "RCPT", "recipient": recipient}
            found = list(self._asked(f"RCPT <{recipient}>", request))
            yield from found
            if found[-1].passed:
                taken.append(recipient)
        if not taken:
            return
        only = taken[0] if len(taken) == 1 else ""
        data = {"protocol_state": "DATA", "recipient": only, "recipient_count": str(len(taken))}
        found = list(self._asked("DATA", {**common, **data}))
        yield from found
        if found[-1].passed:
            yield from self._end(mail, taken, common["client_address"])

    def _asked(self, stage: str, request: dict[str, str]) -> Iterator[Step]:
        for name, decision in self._questions.steps(request):
            step = Step(stage, name, decision)
            yield step
            if not step.passed:
                return

    def _end(self, mail: Transaction, taken: list[str], address: str) -> Iterator[Step]:
        stage = Stage.END.value
        credential = self._reader.credential(mail.username)
        judged = judge(credential, mail.username, self._now, None, address)
        yield Step(stage, "login, state, network", judged)
        if credential is None or not isinstance(judged, Pass):
            return
        zone = self._charges.zone(credential)
        asked = Asked(Stage.END, self._now, zone, taken, len(taken), mail.size)
        for rule, refused in catalogue.steps(credential, asked):
            yield Step(stage, rule.title, refused)
            if refused is not None:
                return
        charges = self._charges.of(
            credential,
            self._now.timestamp(),
            recipients=len(taken),
            size=mail.size,
            account=credential.mode is not Mode.SANDBOX,
        )
        found = self._counters.look([charge.want for charge in charges])
        over = verdicts.over(charges, found, for_good=self._settings.limits.for_good)
        refusal = verdicts.too_much(charges) or over
        beyond = verdicts.beyond(charges, [verdicts.used(buckets) for buckets in found])
        held = (
            Pass(f"held, over a limit: {beyond}") if beyond and credential.mode is not Mode.SANDBOX else None
        )
        yield Step(stage, "limits", refusal or held)
        origin = origin_of(credential, address) if credential.mode is not Mode.SANDBOX else None
        if refusal is None and origin is not None:
            deferred, why, told = places.looked(self._settings, origin)
            passes = Pass(f"held: {why}" if why else told)
            yield Step(stage, RULES["hold_places"].title, deferred or passes)
