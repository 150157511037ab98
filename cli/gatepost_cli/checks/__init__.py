"""What ``gatepost doctor`` looks at: one function a check, all of them listed here, in the order to run.

The order is the way of a message, from what everything stands on to the probe that takes it, so the first
fault is likely the one to mend first. A check takes the context and yields findings. To add one, write the
function, put it in the list and describe it in docs/doctor.md. What it raises of the core's own errors, or
OSError, becomes a finding too.
"""

from collections.abc import Callable, Iterator

from gatepost_cli.checks.backends import backends
from gatepost_cli.checks.base import Context, Finding
from gatepost_cli.checks.certificate import tls_certificate
from gatepost_cli.checks.clients import clients, places
from gatepost_cli.checks.daemons import daemons
from gatepost_cli.checks.host import clock, disk
from gatepost_cli.checks.keys import keys
from gatepost_cli.checks.outgoing import dns, outgoing
from gatepost_cli.checks.parameters import postfix_main_cf, postfix_master_cf
from gatepost_cli.checks.ports import ports
from gatepost_cli.checks.postfix import forwarded, postfix, postfix_shared, routes
from gatepost_cli.checks.probe import probe
from gatepost_cli.checks.release import release
from gatepost_cli.checks.sockets import SOCKETS
from gatepost_cli.checks.spool import mail_log, spool
from gatepost_cli.checks.stores import store
from gatepost_cli.checks.walls import walls
from gatepost_cli.checks.webhooks import held, suspensions, webhooks

Check = Callable[[Context], Iterator[Finding]]


def _named(*checks: Check) -> dict[str, Check]:
    return {getattr(check, "__name__", "").replace("_", "-"): check for check in checks}


# By the names that --only and --skip take.
CHECKS: dict[str, Check] = {
    **_named(disk, clock, release, store, keys, walls, backends, clients, daemons, spool, mail_log, webhooks),
    **_named(suspensions, held, places),
    **SOCKETS,
    **_named(postfix, postfix_main_cf, postfix_master_cf, postfix_shared, routes, forwarded, tls_certificate),
    **_named(ports, dns, outgoing, probe),
}

__all__ = ["CHECKS", "Check", "Context", "Finding"]
