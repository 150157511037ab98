"""``gatepost postfix-settings --apply`` and ``--undo``: what changes is shown, asked about, kept, and done.

The same plan as the role's (``gatepost_core.postfix.cf_plan``), so either leaves every other byte as it is.
Order: concerns, plan, what postconf(1) remarks on, the difference, the question, copies, the files, ``postfix
check``, what was there before, the reload.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from gatepost_cli.output import emit, note
from gatepost_cli.postfix_here import Concern, carrier, concerns, rows, run
from gatepost_cli.session import CliSession, confirmed
from gatepost_core.postfix import Parameter, Service
from gatepost_core.postfix.cf_carry import Carrier, CarryError
from gatepost_core.postfix.cf_plan import Plan


def apply(
    session: CliSession, kept: Path, main: list[Parameter], master: list[Service], *, force: bool, yes: bool
) -> None:
    """Tell this host's Postfix. Raises CarryError, ConflictError."""
    carry = carrier(session.settings, kept)
    held_against(session, concerns(session.settings, carry, main, master), force=force)
    before = carry.read()
    plan = carry.plan(before)
    plan.apply(*rows(main, master), carry.default)
    _do(session, carry, plan, before, yes=yes)


def undo(session: CliSession, kept: Path, *, yes: bool) -> None:
    """Put back what was there before. Raises CarryError."""
    carry = carrier(session.settings, kept)
    if not carry.state_file.exists():
        raise CarryError(
            f"{carry.state_file} does not exist: nothing was set by --apply that could be undone. What a "
            "play set, the play takes back"
        )
    before = carry.read()
    plan = carry.plan(before)
    plan.restore()
    _do(session, carry, plan, before, yes=yes)


def held_against(session: CliSession, found: list[Concern], *, force: bool) -> None:
    """Warn of what speaks against it; raise CarryError when some of it is a reason not to."""
    reasons = [one.text for one in found if one.refuses and not force]
    for one in found:
        if not one.refuses or force:
            note(session, f"warning: {one.text}")
    if reasons:
        raise CarryError(f"{'. '.join(reasons)}. Nothing was changed")


def _do(session: CliSession, carry: Carrier, plan: Plan, before: dict[str, str], *, yes: bool) -> None:
    after = {"main.cf": plan.main.text, "master.cf": plan.master.text}
    difference = "".join(_difference(carry.directory, before, after))
    for name in plan.kept:
        note(session, f"warning: {name} was changed since by somebody else, and stays as it is")
    if before == after:
        carry.remember(plan.state)
        emit(session, {"changed": [], "difference": ""}, "Postfix is as it should be; nothing was changed.")
        return
    carry.check_remarks(before, after)
    if not session.as_json:
        click.echo(difference, nl=False)
    if not yes:
        confirmed(session, f"Change {carry.directory} so?", "nothing was changed: somebody has to agree")
    copies = _copy(carry, session.now)
    carry.land(before, after)
    carry.remember(plan.state)
    done = _reload(carry, plan)
    changed = sorted(set(plan.changed))
    data = {"changed": changed, "difference": difference, "copies": str(copies), "postfix": done}
    emit(session, data, f"{len(changed)} entries changed; the files as they were are in {copies}.\n{done}")


def _difference(directory: Path, before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name, text in before.items():
        lines = (text.splitlines(keepends=True), after[name].splitlines(keepends=True))
        path = str(directory / name)
        for line in difflib.unified_diff(*lines, fromfile=path, tofile=f"{path}, new", n=2):
            yield line if line.endswith("\n") else f"{line}\n"


def _copy(carry: Carrier, now: datetime) -> Path:
    """Keep both files as they are, in a folder named after the time."""
    place = carry.state_file.parent / "copies" / f"{now:%Y%m%dT%H%M%S.%fZ}"
    carry.state_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    place.mkdir(mode=0o700, parents=True)
    for name in ("main.cf", "master.cf"):
        shutil.copy2(carry.directory / name, place / name)
    return place


def _reload(carry: Carrier, plan: Plan) -> str:
    """Have a Postfix that runs read the files; return what was done, for people."""
    where = ["postfix", "-c", str(carry.directory)]
    status, _, _ = run([*where, "status"])
    if status:
        return "Postfix does not run; start it with 'postfix start' (systemctl start postfix)."
    if plan.restart:
        return "Restart Postfix: some of it is read at its start only (systemctl restart postfix)."
    # A message whose file is renamed while qmgr(8) begins with it is left where only its next start looks.
    renamed = [["postsuper", "-c", str(carry.directory)], [*where, "reload"]] if plan.renames else []
    for command in ([*where, "reload"], *renamed):
        status, _, said = run(command)
        if status:
            raise CarryError(f"the files are in place, but '{' '.join(command)}' failed: {said.strip()}")
    return "Postfix has read them. 'gatepost doctor' shows whether all of it works."
