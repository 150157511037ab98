"""Messages through Postfix alone, with opendkim, with Gatepost passing through, and with its features.

Postfix alone takes the same mail over the same TLS from loopback, without login, policy or
milter. What was accepted is delivered by smtp(8) to smtp-sink(1), whose CPU is not counted. Each
round runs every variant once; a variant's figure is the median of its rounds.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from gatepost_bench import accounting, floor, opendkim
from gatepost_bench.letters import Mailing
from gatepost_bench.load import Order, Outcome
from gatepost_core.domain import FeatureValues
from gatepost_core.postfix import Parameter
from gatepost_core.spool import ends
from gatepost_core.store.ingest import lag
from gatepost_core.store.opening import open_backend
from gatepost_stack.instance import HOST
from gatepost_stack.stack import Stack

# Those that Postfix asks, and the one that takes what they write.
ASKED = ("sasl", "policy", "milter")
DAEMONS = (*ASKED, "events")
_ALONE = [
    Parameter("smtpd_sasl_auth_enable", "no", "benchmark"),
    Parameter("smtpd_relay_restrictions", "permit_mynetworks, reject", "benchmark"),
    Parameter("smtpd_data_restrictions", "", "benchmark"),
]
_SETTLED_SECONDS = 120.0
Place = Literal["alone", "floor", "opendkim", "full", "rsa"]


@dataclass(frozen=True, slots=True)
class Variant:
    """One thing to measure: a message or a mailing, and what is on.

    ``features`` None means Postfix without Gatepost. ``at`` names the stack: ``alone``, ``floor`` (a milter
    and a policy server that do nothing), ``opendkim`` (signing), ``full``, or ``rsa``, whose sender
    domain has an RSA key only, as opendkim has.
    """

    name: str
    message: Path | Mailing
    features: FeatureValues | None
    at: Place
    per_connection: int = 100
    # Of the credential, and of its account.
    limits: tuple[str, ...] = ()
    account_limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A stack to send to; ``others`` are process ids of servers that are not ours, by the part they play."""

    stack: Stack
    others: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(slots=True)
class Figures:
    """What was measured of a variant, a value a round."""

    rates: list[float] = field(default_factory=list)
    postfix: list[float] = field(default_factory=list)
    daemons: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in DAEMONS})

    @property
    def rate(self) -> float:
        """Messages accepted a second."""
        return statistics.median(self.rates)

    @property
    def postfix_ms(self) -> float:
        """Milliseconds of Postfix's CPU a message."""
        return statistics.median(self.postfix)

    def daemon_ms(self, name: str) -> float:
        """Milliseconds of one daemon's CPU a message."""
        return statistics.median(self.daemons[name] or [0.0])

    @property
    def plugins_ms(self) -> float:
        """Milliseconds a message of the CPU of all daemons that Postfix asks."""
        return sum(self.daemon_ms(name) for name in ASKED)

    @property
    def events_ms(self) -> float:
        """Milliseconds of gatepost-events' CPU a message."""
        return self.daemon_ms("events")


def measure(
    variants: list[Variant], messages: int, rounds: int, tick: Callable[[str], None]
) -> tuple[dict[str, Figures], dict[str, int]]:
    """Run all variants; return their figures and each daemon's PSS in bytes at the end."""
    figures = {variant.name: Figures() for variant in variants}
    with ExitStack() as exits:
        to_sink = exits.enter_context(_sink())
        signer = exits.enter_context(opendkim.signer())
        milter = Parameter("smtpd_milters", f"unix:{signer.socket}", "benchmark")
        targets: dict[Place, Target] = {
            "alone": Target(exits.enter_context(private_stack(milter=False, extra=[*to_sink, *_ALONE]))),
            "opendkim": Target(
                exits.enter_context(private_stack(milter=False, extra=[*to_sink, *_ALONE, milter])),
                {"milter": signer.pid},
            ),
            "floor": exits.enter_context(_floor(to_sink)),
            "full": Target(exits.enter_context(private_stack(milter=True, extra=to_sink))),
            "rsa": Target(exits.enter_context(private_stack(milter=True, extra=to_sink))),
        }
        targets["rsa"].stack.provision.remove_keys("ed25519")
        for variant in variants:
            _one(variant, targets[variant.at], 100, Figures())
        for number in range(rounds):
            for variant in variants:
                tick(f"round {number + 1}: {variant.name}")
                _one(variant, targets[variant.at], messages, figures[variant.name])
        memory = {name: _memory(name, targets["full"], targets["rsa"]) for name in DAEMONS}
    return figures, memory


def _memory(name: str, *targets: Target) -> int:
    """Return the PSS of a daemon, that of the stack where it is largest, in bytes."""
    return max(accounting.memory_bytes(target.stack.supervisor.pid(name)) for target in targets)


@contextmanager
def _sink() -> Iterator[list[Parameter]]:
    """Run smtp-sink(1); yield the parameters that send everything there."""
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    sink = subprocess.Popen(["/usr/sbin/smtp-sink", "-u", "postfix", f"{HOST}:{port}", "1000"])
    try:
        deadline = time.monotonic() + _SETTLED_SECONDS
        while True:
            with suppress(ConnectionRefusedError), socket.create_connection((HOST, port)):
                break
            if sink.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("smtp-sink did not start")
            time.sleep(0.02)
        there = f"smtp:[{HOST}]:{port}"
        yield [Parameter(f"{kind}_transport", there, "benchmark") for kind in ("default", "relay", "local")]
    finally:
        sink.terminate()
        sink.wait()


@contextmanager
def _floor(to_sink: list[Parameter]) -> Iterator[Target]:
    """Run Postfix with servers that do nothing: what asking costs, whoever is asked."""
    with ExitStack() as exits:
        milter, milter_pid = exits.enter_context(floor.running("milter"))
        policy, policy_pid = exits.enter_context(floor.running("policy"))
        asks = f"check_policy_service unix:{policy}"
        extra = [
            *to_sink,
            _ALONE[0],
            Parameter("smtpd_relay_restrictions", f"{asks}, permit_mynetworks, reject", "benchmark"),
            Parameter("smtpd_data_restrictions", asks, "benchmark"),
            Parameter("smtpd_milters", f"unix:{milter}", "benchmark"),
        ]
        stack = exits.enter_context(private_stack(milter=False, extra=extra))
        yield Target(stack, {"milter": milter_pid, "policy": policy_pid})


@contextmanager
def private_stack(*, milter: bool, extra: list[Parameter]) -> Iterator[Stack]:
    """Run a stack in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="gatepost-bench-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        with Stack(Path(folder) / "var", milter=milter, extra=extra) as stack:
            yield stack


def _one(variant: Variant, target: Target, messages: int, figures: Figures) -> None:
    stack, login = target.stack, None
    if variant.features is not None:
        login = stack.provision.credential(variant.features)
        stack.provision.limit(login.username, *variant.limits)
        stack.provision.limit_account(*variant.account_limits)
    order = Order(
        port=stack.ports[0],
        ca_file=str(stack.layout.ca_file),
        message_file=str(variant.message) if isinstance(variant.message, Path) else "",
        mailing=variant.message if isinstance(variant.message, Mailing) else None,
        messages=messages,
        sessions=10,
        per_connection=variant.per_connection,
        username=login.username if login else "",
        password=login.password if login else "",
    )
    roots = {"postfix": stack.postfix.pid}
    if login:
        roots.update({name: stack.supervisor.pid(name) for name in DAEMONS})
    roots.update(target.others)
    before = accounting.cpu_seconds(roots)
    outcome = run_load(order)
    _wait_until_empty(stack.layout.queue)
    _wait_until_taken(stack)
    _note(figures, outcome, before, accounting.cpu_seconds(roots))


def _note(
    figures: Figures, outcome: Outcome, before: Mapping[str, float], after: Mapping[str, float]
) -> None:
    figures.rates.append(outcome.accepted / outcome.seconds)
    for name, value in after.items():
        spent = (value - before[name]) / outcome.accepted * 1000
        (figures.postfix if name == "postfix" else figures.daemons[name]).append(spent)


def run_load(order: Order) -> Outcome:
    """Carry out an order in a process of its own. Raises RuntimeError with the reply that ended it."""
    run = subprocess.run(
        [sys.executable, "-P", "-m", "gatepost_bench.load"],
        input=json.dumps(asdict(order)),
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"the load ended early: {run.stderr.strip()}")
    return Outcome(**json.loads(run.stdout))


def _wait_until_taken(stack: Stack) -> None:
    """Wait until the store has every record of what was accepted."""
    with open_backend(stack.settings.store).journal() as connection:
        lag.waited(connection, ends(stack.settings.spool.directory), _SETTLED_SECONDS)


def _wait_until_empty(queue: Path) -> None:
    """Wait until Postfix has delivered everything, so that a message's whole cost is counted."""
    deadline = time.monotonic() + _SETTLED_SECONDS
    while any(any(path.is_file() for path in (queue / name).rglob("*")) for name in ("incoming", "active")):
        if time.monotonic() > deadline:
            raise RuntimeError("Postfix's queue did not become empty")
        time.sleep(0.05)
