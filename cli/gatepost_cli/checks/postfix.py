"""Postfix itself: it runs, its configuration has no fault, its queue is where we look; what main.cf says for
other mail, and holds for submitted mail too, may be right.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from gatepost_cli.checks.base import Context, Finding, fault, good, note
from gatepost_core.domain import Bounces
from gatepost_core.postfix import forwarding_socket, isolation, main_cf, shared
from gatepost_core.store import StoreUnavailable, accounts, credentials, schema
from gatepost_core.store.ingest.forwards import forwards

_MOST = 10
_WAITS = timedelta(hours=1)
_DELIVER = "set default_transport = smtp, or send it to a relay host by relayhost"


def postfix(context: Context) -> Iterator[Finding]:
    """Ask postfix(1) and postconf(1)."""
    yield _queue(context)
    yield _running(context)
    yield from _checked(context)
    yield from _warned(context)


def _queue(context: Context) -> Finding:
    found = Path(context.postconf("-xh", "queue_directory").strip())
    wanted = context.settings.postfix.queue_directory
    if found == wanted:
        return good("queue_directory", str(found))
    advice = "set postfix.queue_directory, or Postfix's queue_directory"
    return fault("queue_directory", str(found), f"{wanted}, as the sockets' names are relative to it", advice)


def _running(context: Context) -> Finding:
    done = context.postfix("postfix", "status")
    if done.returncode:
        advice = "run 'postfix start' (systemctl start postfix); its log says why it does not run"
        return fault("master(8)", _lines(done.stderr)[-1], "Postfix running", advice)
    return good("master(8)", "runs")


def _checked(context: Context) -> Iterator[Finding]:
    """Carry out ``postfix check``; what it says without failing may be right."""
    done = context.postfix("postfix", "check")
    said = _lines(done.stderr) if done.returncode or done.stderr.strip() else []
    for line in said[:_MOST]:
        if done.returncode and "warning" not in line:
            yield fault("postfix check", line, "nothing to complain of", "mend what it names")
        else:
            yield note("postfix check", line, "nothing to complain of", "look at what it names")
    if not said:
        yield good("postfix check", "nothing to complain of")


def _warned(context: Context) -> Iterator[Finding]:
    """Tell what postconf(1) warns of: a misspelt parameter does nothing, and fails nowhere."""
    for line in [*dict.fromkeys(_lines(context.postfix("postconf", "-n").stderr, ""))][:_MOST]:
        if "overriding earlier entry" in line and context.postconf("-xh", "maillog_file").strip():
            # postlogd(8) warns its own socket of it at each start, and waits for itself if that is full.
            found = f"{line}: with maillog_file, Postfix may stop at a reload"
            yield fault("main.cf", found, "each parameter once", "remove one of the lines; postfix reload")
        elif line:
            yield note("main.cf", line, "parameters that Postfix knows", "look for a misspelt name")


def _lines(text: str, silent: str = "no reason given") -> list[str]:
    """Return what was said, a line each, without the name of the program that said it."""
    lines = [line.partition(": ")[2] or line for line in text.strip().splitlines()]
    return [line for line in lines if line] or [silent]


def postfix_shared(context: Context) -> Iterator[Finding]:
    """Ask postconf(1) about the parameters that no port can have of its own; in scope ``host``, about all."""
    values = context.parameters("-x", *shared.names())
    found = shared.looked(values, context.settings.hold.hours_ahead)
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


def routes(context: Context) -> Iterator[Finding]:
    """Look at what has to do with routes beside their services, and who names one that is not there."""
    values = context.parameters("-x", "content_filter", "default_filter_nexthop")
    ours = context.settings.routes
    hop, filtered = values.get("default_filter_nexthop"), values.get("content_filter")
    if hop and not all(one.next_hop for one in ours.values()):
        found = f"{hop}: mail of routes without next_hop goes there"
        advice = "remove it from main.cf, or set next_hop"
        yield fault("main.cf, default_filter_nexthop", found, "empty", advice)
    if ours and filtered and context.settings.postfix.scope == "host":
        found = f"{filtered}, which mail that takes a route does not pass"
        yield note("main.cf, content_filter", found, "known to you", "see docs/routes.md for what else to do")
    with context.directory() as connection:
        gone = sorted(credentials.routes(connection) - set(ours))
    for name in gone:
        found = "mail of those who have it waits: the settings do not have it"
        advice = "put it back, or see 'gatepost credential list'"
        yield fault(f"route {name}", found, f"[routes.{name}]", advice)
    yield good("routes", f"{len(ours)} in the settings")


def forwarding(context: Context) -> list[str]:
    """Return the accounts that have reports forwarded."""
    try:
        with context.directory() as connection:
            listed = accounts.list_all(connection)
    except StoreUnavailable:  # the store's own check says so
        return []
    return [one.name for one in listed if one.bounces is Bounces.FORWARD]


def forwarded(context: Context) -> Iterator[Finding]:
    """Look at the socket, who may reach it, and what waits."""
    yield from _unknown(context)
    names = forwarding(context)
    if not names:
        yield good("reports", "no account has them forwarded")
        return
    socket = forwarding_socket(context.settings)
    if not socket.is_socket():
        advice = "run 'gatepost postfix-settings --apply' (or the play, where the role postfix set it)"
        yield fault(str(socket), "missing", f"Postfix's service, for {', '.join(names[:_MOST])}", advice)
    yield from _rights(context)
    with context.journal() as connection:
        late = forwards.c.kept_at < context.now - _WAITS
        query = select(func.count()).where(forwards.c.state == "open", late)
        number = connection.execute(query).scalar_one()
    if number:
        advice = "see what the log of gatepost-events says of them, and bounces.forwards_per_hour"
        yield note("reports", f"{number} wait for more than an hour", "none", advice)
    yield good("reports", f"forwarded for {len(names)} accounts")


def _unknown(context: Context) -> Iterator[Finding]:
    """Name accounts whose way with reports a newer release wrote."""
    known = [one.value for one in Bounces]
    columns = schema.accounts.c
    query = select(columns.name, columns.bounces).where(columns.bounces.not_in(known)).limit(_MOST)
    try:
        with context.directory() as connection:
            found = connection.execute(query).all()
    except StoreUnavailable:  # as above
        return
    for name, way in found:
        advice = f"gatepost account set {name} --bounces {'|'.join(known)}"
        yield note(f"account {name}", f"bounces {way!r}: counts as events", "one that is known", advice)


def _rights(context: Context) -> Iterator[Finding]:
    """Hold the daemon's user against the folder's group: master(8) makes it 0710."""
    folder = forwarding_socket(context.settings).parent
    user = pwd.getpwuid(context.store.home.stat().st_uid)
    if user.pw_uid == 0 or not folder.is_dir():
        return
    status = folder.stat()
    if status.st_gid in os.getgrouplist(user.pw_name, user.pw_gid) or status.st_mode & 0o001:
        return
    group = grp.getgrgid(status.st_gid).gr_name
    advice = f"usermod -aG {group} {user.pw_name}; systemctl restart gatepost-events"
    yield fault(str(folder), f"closed to user {user.pw_name}", f"{user.pw_name} in group {group}", advice)
