"""What ``gatepost doctor`` looks at: one function a check, all of them listed here, in the order to run.

A check takes the context and yields findings. To add one, write the function and put it in the list.
What it raises of the core's own errors, or OSError, becomes a finding too.
"""

from collections.abc import Callable, Iterator

from gatepost_cli.checks.backends import backends
from gatepost_cli.checks.base import Context, Finding
from gatepost_cli.checks.certificate import tls_certificate
from gatepost_cli.checks.keys import keys
from gatepost_cli.checks.parameters import postfix_main_cf, postfix_master_cf
from gatepost_cli.checks.sockets import milter_socket, policy_socket, sasl_socket
from gatepost_cli.checks.stores import store

Check = Callable[[Context], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    store,
    keys,
    backends,
    sasl_socket,
    policy_socket,
    milter_socket,
    postfix_main_cf,
    postfix_master_cf,
    tls_certificate,
)

__all__ = ["CHECKS", "Check", "Context", "Finding"]
