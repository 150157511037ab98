"""gatepost-sasl: says who may log in, over the Dovecot authentication protocol.

What is wired to what, from settings to socket. A store that cannot be opened does not stop the
daemon: each login tries again, and Postfix answers 454 meanwhile.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

from gatepost_core.domain.errors import StoreUnavailable
from gatepost_core.keys.keyring import Keyring
from gatepost_core.serving import log
from gatepost_core.serving.boot import command, open_reader, utc_now
from gatepost_core.serving.lineserver import Limits, LineServer, Observer
from gatepost_core.serving.listen import open_listener, parse_address
from gatepost_core.serving.login_table import LoginTable
from gatepost_core.serving.metrics import Metrics, observing
from gatepost_core.serving.prefork import Hooks, Supervisor, WorkerContext
from gatepost_core.settings import SaslSettings, Settings
from gatepost_core.store.reader import Reader
from gatepost_core.store.usage import LastUsed
from gatepost_sasl.backends import build
from gatepost_sasl.backends.store import StoreAuthenticator
from gatepost_sasl.backends.turns import Turns
from gatepost_sasl.chain import Chain
from gatepost_sasl.counters import SharedCounters
from gatepost_sasl.guessing import Guard, Rules, parse_networks
from gatepost_sasl.mechanisms import SCRAM
from gatepost_sasl.noting import Noting
from gatepost_sasl.report import Reporter
from gatepost_sasl.session import AuthSession, Configuration, Scram
from gatepost_sasl.slowest import Slowest

# Logins that a worker has waiting for PAM or LDAP at once. Each has a deadline of its own, and one that
# is stuck must not keep another back end's from being asked.
_BLOCKING_LOGINS = 256
# For logins of which each counts at several places.
_UNDER_WAY_BUCKETS = 1024


def check(settings: Settings) -> None:
    """Raise SettingsError, ListenError or KeyringError for what cannot be used."""
    build.check(settings)
    for text in build.remarks(settings):
        log.warning(text)
    parse_address(settings.sasl.listen)
    Keyring.load(settings.keys.directory)


def serve(settings: Settings) -> int:
    """Serve until SIGTERM; return the exit status."""
    sasl = settings.sasl
    keyring = Keyring.load(settings.keys.directory)
    listener = open_listener(parse_address(sasl.listen))
    metrics = Metrics("sasl", sasl.metrics_listen)
    report = Reporter(metrics)
    reader = open_reader(settings.store.url)
    connections = metrics.gauge("connections", "Connections open now.")
    stuck = metrics.gauge(
        "stuck_calls", "Calls of a back end left behind after their deadline.", ("backend",)
    )
    seconds = metrics.histogram("request_seconds", "Time that an answer took, without the failure delay.")
    took = metrics.batched(observing(seconds))
    unnoted = metrics.counter("logins_unnoted_total", "Logins that policy cannot know the time of.")
    guard_of = _guards(sasl)
    slowest = Slowest(_expected(reader))
    outside = {name: Slowest() for name in sasl.backends if name != "store"}
    if slowest.delay(sasl.failure_delay) > sasl.failure_delay:
        log.info("refusals wait for imported hashes", seconds=slowest.delay(sasl.failure_delay))

    def work(context: WorkerContext) -> None:
        last_used = LastUsed(settings.store.journal)
        parts = build.Parts(
            reader,
            keyring,
            last_used,
            utc_now,
            lambda name, change: stuck.labels(name).inc(change),
            slowest.took,
            outside,
        )
        backends = build.build(settings, parts)
        guard = guard_of(context.slot)
        configuration = Configuration(
            authenticator=backends.shortest(),
            report=report,
            mechanisms=sasl.mechanisms,
            failure_delay=sasl.failure_delay,
            pid=os.getpid(),
            guard=guard,
            turn=Turns(guard).turn,
            slowest=slowest,
            note=Noting(LoginTable(sasl.logins_file, writing=True), unnoted.inc),
            scram=_scram(sasl, StoreAuthenticator(reader, keyring, last_used, utc_now), reader, keyring),
        )
        numbers = itertools.count(1)
        server = LineServer(
            listener,
            lambda: AuthSession(configuration, next(numbers)),
            limits=Limits(join_seconds=0.8 * sasl.drain_seconds, threads=_BLOCKING_LOGINS),
            observe=Observer(connections.inc, took),
            unfit=lambda: _unfit(backends, sasl.hang_seconds, metrics),
        )
        server.serve(context)
        metrics.flush()
        last_used.close()
        reader.close()

    return Supervisor(
        "sasl",
        sasl.workers,
        work,
        drain_seconds=sasl.drain_seconds,
        hooks=Hooks(in_child=metrics.in_child, hung=metrics.hung, died=metrics.died, ended=metrics.close),
        hang_seconds=sasl.hang_seconds,
        helpers=metrics.helpers,
    ).run()


def _unfit(backends: Chain, seconds: float, metrics: Metrics) -> str:
    """Return which back end has been stuck for so long that only a new process can serve its users."""
    reason = backends.stuck_for(seconds)
    if reason:
        metrics.hung(0)
    return reason


def _guards(sasl: SaslSettings) -> Callable[[int], Guard]:
    """Return what makes a worker's view of the counters of failed logins, which all workers share."""
    rules = Rules(
        limit=sasl.guess_limit,
        network_limit=sasl.guess_network_limit,
        lockout=sasl.guess_lockout,
        ipv4_prefix=sasl.guess_ipv4_prefix,
        ipv6_prefix=sasl.guess_ipv6_prefix,
        shared=parse_networks(sasl.guess_shared_networks),
    )
    users, networks, wide = SharedCounters(), SharedCounters(), SharedCounters()
    under_way = [SharedCounters(_UNDER_WAY_BUCKETS) for _ in range(sasl.workers)]

    def guard_of(slot: int) -> Guard:
        under_way[slot].empty()  # of a worker that was killed
        return Guard(users, networks, rules, wide, under_way, slot)

    return guard_of


def _expected(reader: Reader) -> float:
    """Return the seconds that the store's dearest imported hash takes to check here."""
    try:
        hashes = reader.imported_hashes()
    except StoreUnavailable:  # logged already; each login that checks one tells
        hashes = []
    finally:
        reader.close()
    if not hashes:
        return 0.0
    from gatepost_core.keys.argon2id import seconds  # noqa: PLC0415 - see above

    return seconds(hashes)


def _scram(sasl: SaslSettings, store: StoreAuthenticator, reader: Reader, keyring: Keyring) -> Scram | None:
    """Return SCRAM-SHA-256 where it is on offer; its library is loaded nowhere else."""
    if SCRAM not in sasl.mechanisms:
        return None
    from gatepost_sasl.backends.scram import StoreScram  # noqa: PLC0415 - see above

    return StoreScram(reader, keyring, store, utc_now)


main = command("sasl", "Tells Postfix who may log in (Dovecot authentication protocol).", check, serve)

if __name__ == "__main__":
    main()
