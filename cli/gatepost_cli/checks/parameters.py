"""Postfix's parameters, asked of postconf(1), against those that ``gatepost postfix-settings`` prints."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_cli.checks.postfix import forwarding
from gatepost_cli.checks.services import Entry, alike, entries, serving
from gatepost_cli.postfix_here import told_of_host
from gatepost_core.postfix import Parameter, Service, main_cf, master_cf
from gatepost_core.store import StoreUnavailable, domains

# Others than ours may be right: limits and times of an operator's own choice.
_OWN_CHOICE = {
    "compatibility_level", "mailbox_size_limit", "milter_command_timeout", "milter_connect_timeout",
    "milter_content_timeout", "myhostname", "smtpd_client_auth_rate_limit",
    "smtpd_client_connection_count_limit", "smtpd_client_connection_rate_limit",
    "smtpd_client_message_rate_limit", "smtpd_client_new_tls_session_rate_limit",
    "smtpd_client_recipient_rate_limit", "smtpd_error_sleep_time", "smtpd_hard_error_limit",
    "smtpd_junk_command_limit", "smtpd_recipient_limit", "smtpd_recipient_overshoot_limit",
    "smtpd_soft_error_limit", "smtpd_tls_loglevel", "virtual_mailbox_limit",
}  # fmt: skip
_ADVICE = "run 'gatepost postfix-settings --apply' (or the play, where the role postfix set it)"


def postfix_main_cf(context: Context) -> Iterator[Finding]:
    """Compare main.cf, parameter by parameter; one finding for all that are as they should be."""
    told = told_of_host(context.settings, context.postfix_directory)
    if told:
        yield fault("main.cf", told, "the scope that it was made with", "name it in the settings first")
    wanted = main_cf(context.settings, _bounce_domains(context))
    found = context.parameters("-n")
    found |= context.parameters(*(one.name for one in wanted if one.name not in found))
    same = 0
    for parameter in wanted:
        value = found.get(parameter.name)
        if value is not None and alike(parameter, value):
            same += 1
        else:
            yield _differs(f"main.cf, {parameter.name}", parameter, value)
    yield good("main.cf", f"{same} of {len(wanted)} parameters are as they should be")


def postfix_master_cf(context: Context) -> Iterator[Finding]:
    """Compare each port's smtpd(8) in master.cf, and the cleanup(8) behind them."""
    listed = entries(context)
    for service in master_cf(context.settings):
        if service.role == "forward" and serving(service, listed) is None and not forwarding(context):
            text = "missing; no account has reports forwarded"
            yield note(f"master.cf, {service.name}", text, "there, for those that will", _ADVICE)
        else:
            yield from _service(service, listed)


def _service(service: Service, listed: list[Entry]) -> Iterator[Finding]:
    where = f"master.cf, {service.name}"
    entry = serving(service, listed)
    if entry is None:
        yield fault(where, "missing", service.entry.replace("\n", " "), _ADVICE)
        return
    if entry.name != service.name:
        yield good(where, f"served by {entry.name}/{entry.type}")
        return
    wrong = [option for option in service.options if not alike(option, entry.options.get(option.name, ""))]
    for option in wrong:
        yield _differs(f"{where}, {option.name}", option, entry.options.get(option.name))
    if not wrong:
        yield good(where, "as it should be")


def _differs(where: str, parameter: Parameter, value: str | None) -> Finding:
    found = "not set" if value is None else f"{parameter.name} = {value}".rstrip()
    if parameter.name in _OWN_CHOICE and value is not None:
        return Finding(where, "note", found, parameter.line, f"ours is for this: {parameter.reason}")
    return fault(where, found, parameter.line, f"{_ADVICE}. {parameter.reason}")


def _bounce_domains(context: Context) -> list[str]:
    try:
        with context.directory() as connection:
            return domains.bounce_domains(connection)
    except StoreUnavailable:  # the store's own check says so
        return []
