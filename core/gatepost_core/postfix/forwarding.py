"""The smtpd(8) to which gatepost-events gives reports for the senders of messages.

On a UNIX socket in ``public/`` below the queue directory, which group ``postdrop`` may reach: a port of TCP
would relay for every local user, and sendmail(1) needs rights that the daemon's unit does not give it. It
takes the null sender alone. What main.cf says for smtpd(8) of other mail does not count there, in either
scope; the cleanup(8) behind it is the host's in scope ``host``, as for the ports.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from gatepost_core.postfix import isolation, subjects
from gatepost_core.postfix.parts import Rows, Service, parameters
from gatepost_core.settings import Settings

NAME: Final = "gatepost-forward"
_RULES: Final = "check_sender_access inline:{ <>=OK }, reject"
_NULL: Final = "Mail from the null sender, wherever it goes, and no other."
_PLAIN: Final = "A UNIX socket of this host, which only group postdrop reaches."
# Of another machine's clients, or of ports alone.
_LEFT_OUT: Final = ("smtpd_tls_", "tls_server_", "smtpd_sasl_", "broken_sasl_")


def socket(settings: Settings) -> Path:
    """Return where gatepost-events connects."""
    return settings.postfix.queue_directory / "public" / NAME


def service(settings: Settings) -> Service:
    """Return the smtpd(8) service."""
    rows = {name: (value, reason) for name, value, reason in _options(settings)}
    options = ((name, value, reason) for name, (value, reason) in rows.items())
    reason = "Takes reports from gatepost-events, for accounts that have them forwarded to the sender."
    return Service(NAME, "forward", parameters(_rows(options)), reason)


def _rows(rows: Iterable[tuple[str, str, str]]) -> Rows:
    yield from rows


def _options(settings: Settings) -> Rows:
    """Yield its options; a later row of the same name wins."""
    for name, value, reason in isolation.smtpd():
        if not name.startswith(_LEFT_OUT):
            yield name, value, reason
    yield "syslog_name", f"postfix/{NAME}", "Its log lines can be told from those of ports."
    yield "smtpd_tls_security_level", "none", _PLAIN
    yield "smtpd_tls_wrappermode", "no", _PLAIN
    yield "smtpd_sasl_auth_enable", "no", _PLAIN
    yield "smtpd_delay_reject", "yes", "The sender is known when it is judged."
    yield "smtpd_relay_restrictions", _RULES, _NULL
    yield "smtpd_null_access_lookup_key", "<>", "What that rule calls the null sender."
    yield "local_header_rewrite_clients", "", "Nothing is added to an address that has no domain."
    for name in ("recipient", "data", "end_of_data"):
        yield f"smtpd_{name}_restrictions", "", "All is said in smtpd_relay_restrictions."
    if settings.postfix.scope == "ports":
        yield "cleanup_service_name", subjects.CLEANUP, "A cleanup of our own, with limits of our own."
    yield "smtpd_discard_ehlo_keywords", "silent-discard, etrn", "All else is on offer."
    yield "smtpd_command_filter", "", isolation.NOT_OURS
    yield "smtpd_milters", "", "A report is no customer's message: nothing is edited, counted or recorded."
    yield "smtpd_helo_required", "no", isolation.NOT_OURS
    yield "smtpd_client_connection_count_limit", "0", "All come from one process of this host."
    yield "smtpd_client_auth_rate_limit", "0", "Nobody logs in."
    limit = subjects.queue_size_limit(settings)
    yield "message_size_limit", str(limit), "As much as the bounce domains' mail may have in the queue."
