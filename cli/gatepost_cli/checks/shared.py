"""What main.cf says for other mail, and holds for submitted mail too: it may be right."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_core.postfix import isolation, main_cf, shared

_DELIVER = "set default_transport = smtp, or send it to a relay host by relayhost"


def postfix_shared(context: Context) -> Iterator[Finding]:
    """Ask postconf(1) about the parameters that no port can have of its own; in scope ``host``, about all."""
    values = context.parameters("-x", *shared.names())
    found = shared.looked(values)
    for one in found:
        where, said = f"main.cf, {one.name}", f"{one.name} = {one.value}"
        if one.stops:
            yield fault(where, f"{said}: {one.effect}", "mail for other hosts leaves this one", _DELIVER)
        else:
            yield note(where, f"{said}: {one.effect}", "known to you", "nothing, where it is meant so")
    if context.settings.postfix.scope == "host":
        yield from _of_other_mail(context)
    yield good("main.cf", f"{len(values) - len(found)} of {len(values)} shared parameters are as usual")


def _of_other_mail(context: Context) -> Iterator[Finding]:
    """Note what scope ``ports`` answers by options: in scope ``host`` it is left to main.cf."""
    ours = {one.name for one in main_cf(context.settings, ())}
    rows = {name: reason for name, _, reason in (*isolation.smtpd(), *isolation.cleanup())}
    asked = [name for name in rows if name not in ours and not name.startswith("smtpd_tls_")]
    values, usual = context.parameters("-x", *asked), context.parameters("-dx", *asked)
    for name in asked:
        if name in values and values[name] != usual[name]:
            found = f"{name} = {values[name]}, for submitted mail too".replace(" ,", ",")
            yield note(f"main.cf, {name}", found, f"{name} = {usual[name]}".rstrip(), rows[name])
