"""gatepost-policy: says what a login may send, over Postfix's policy delegation protocol.

What is wired to what, from settings to socket. A store that cannot be opened does not stop the
daemon: each request tries again, and Postfix answers 451 meanwhile.
"""

from __future__ import annotations

from gatepost_core.domain.walls import Walls
from gatepost_core.keys.keyring import Keyring
from gatepost_core.keys.tokens import BounceTokens
from gatepost_core.serving.boot import command, open_reader, utc_now
from gatepost_core.serving.lineserver import Limits, LineServer, Observer
from gatepost_core.serving.listen import open_listener, parse_address
from gatepost_core.serving.login_table import LoginTable
from gatepost_core.serving.metrics import Metrics, observing
from gatepost_core.serving.prefork import Hooks, Supervisor, WorkerContext
from gatepost_core.settings import Settings
from gatepost_policy.questions import Questions
from gatepost_policy.report import Reporter
from gatepost_policy.session import PolicySession
from gatepost_policy.sessions import KnownLogins


def check(settings: Settings) -> None:
    """Raise ListenError or KeyringError for what cannot be used."""
    parse_address(settings.policy.listen)
    Keyring.load(settings.keys.directory)


def serve(settings: Settings) -> int:
    """Serve until SIGTERM; return the exit status."""
    policy = settings.policy
    tokens = BounceTokens(Keyring.load(settings.keys.directory))
    listener = open_listener(parse_address(policy.listen))
    metrics = Metrics("policy", policy.metrics_listen)
    report = Reporter(metrics)
    reader = open_reader(settings.store.url)
    walls = Walls(reader, settings.own_names, settings.accounts.wall_mode)
    connections = metrics.gauge("connections", "Connections open now.")
    seconds = metrics.histogram("request_seconds", "Time that an answer took.")
    took = metrics.batched(observing(seconds))

    unknown = metrics.counter("logins_unknown_total", "Questions about sessions whose login is not known.")

    def work(context: WorkerContext) -> None:
        logins = KnownLogins(LoginTable(settings.sasl.logins_file), unknown.inc)
        questions = Questions(reader, tokens, policy.bounce_ports, utc_now, walls, logins)
        server = LineServer(
            listener,
            lambda: PolicySession(questions, report),
            limits=Limits(join_seconds=0.8 * policy.drain_seconds),
            observe=Observer(connections.inc, took),
        )
        server.serve(context)
        metrics.flush()
        reader.close()

    return Supervisor(
        "policy",
        policy.workers,
        work,
        drain_seconds=policy.drain_seconds,
        hooks=Hooks(in_child=metrics.in_child, hung=metrics.hung, died=metrics.died, ended=metrics.close),
        hang_seconds=policy.hang_seconds,
        helpers=metrics.helpers,
    ).run()


main = command("policy", "Tells Postfix what a login may send (policy delegation protocol).", check, serve)

if __name__ == "__main__":
    main()
