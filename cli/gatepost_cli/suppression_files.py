"""``gatepost suppression import`` and ``export``: CSV (RFC 4180) with a header, or one address a line."""

from __future__ import annotations

import csv
import io
import itertools
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

import click

from gatepost_cli import progress
from gatepost_cli.complete import account_names
from gatepost_cli.output import emit, emit_each, remark, stamp
from gatepost_cli.session import CliSession, json_option, pass_session
from gatepost_cli.suppression_view import REASONS
from gatepost_cli.values import moment_of
from gatepost_core.domain import NotFound, StoreError, StoreUnavailable, shown
from gatepost_core.domain.suppressing import DETAIL_MOST, NoAddressError, Reason, Suppression, entered
from gatepost_core.domain.texts import unfit
from gatepost_core.service.views import suppression_data
from gatepost_core.store import accounts, credentials, suppressions
from gatepost_core.store.suppressions import Listed

FAULTS: Final = 5
COLUMNS: Final = ("account", "address", "credential", "tag", "reason", "since", "expires", "note")
# What lists of other services call the same.
_ALSO: Final = {"email": "address", "recipient": "address", "created": "since", "created_at": "since"}
# Wrong lines that are told one by one; a line that no list has.
_TOLD: Final = 20
_LINE_MOST: Final = 10_000
# Of one transaction: others who write the directory wait for it.
_BATCH: Final = 5_000
# What a spreadsheet would take for a formula; one of these in front makes it a text.
_FORMULA: Final = tuple("=+-@\t\r")
_TEXT: Final = "'"


@click.command("export")
@click.option(
    "--account", default="", metavar="ACCOUNT", shell_complete=account_names, help="Only this account's."
)
@click.option("--reason", type=click.Choice(REASONS), help="Only of this reason.")
@json_option
@pass_session
def export(session: CliSession, account: str, reason: str | None) -> None:
    """Print all who are suppressed, as CSV that 'import' takes, the newest first.

    With --json an array, printed piece by piece, that has their events and messages as well.
    """
    wanted = suppressions.Wanted(account, reason=Reason(reason) if reason else None)
    with session.directory() as connection:
        found = progress.shown(suppressions.each(connection, wanted), "exported")
        if session.as_json:
            emit_each(session, COLUMNS, found, lambda one: suppression_data(one, session.now), _cells)
            return
        writer = csv.writer(sys.stdout, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for one in found:
            writer.writerow(map(_as_text, _cells(one)))


@click.command("import")
@click.argument(
    "file", metavar="FILE|-", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)
)
@click.option(
    "--account",
    metavar="ACCOUNT",
    shell_complete=account_names,
    help="Whose mail, for lines that do not say it in a column of their own.",
)
@click.option("--skip-wrong", is_flag=True, help="Import the other lines where some are wrong.")
@json_option
@pass_session
def import_(session: CliSession, file: Path, account: str | None, skip_wrong: bool) -> int:
    """Suppress addresses and domains of a CSV file, or of one with an address a line.

    A header names the columns: address (or email), account, credential, tag, reason, since, expires, note;
    others are left out. The whole file is read first: where a line is wrong nothing is imported, unless
    --skip-wrong. It can be run again: what stands already stays as it is. What was lifted after its 'since'
    stays lifted.
    """
    with _opened(file) as text:
        found = _Lines(session, account).checked(text)
        for one in found.wrong[:_TOLD]:
            remark(session, f"line {one.line}: {one.why}", line=one.line)
        if found.number_wrong > _TOLD:
            remark(session, f"and {found.number_wrong - _TOLD} more lines are wrong")
        if found.left_out:
            remark(session, f"columns that are left out: {', '.join(found.left_out)}")
        if found.number_wrong and not skip_wrong:
            emit(session, _result(found, suppressions.Put()), "Nothing was imported.")
            return FAULTS
        text.seek(0)
        done = _write(session, found, _Lines(session, account).read(text))
    same = f"; {done.known} were suppressed already" if done.known else ""
    same += f"; {done.lifted} were lifted since and stay so" if done.lifted else ""
    same += f"; {found.number_wrong} lines were wrong" if found.number_wrong else ""
    emit(session, _result(found, done), f"{done.changed} imported{same}.")
    return FAULTS if found.number_wrong else 0


@dataclass(frozen=True, slots=True)
class Wrong:
    """A line that cannot be taken, and why."""

    line: int
    why: str


@dataclass(slots=True)
class Checked:
    """What a file has: lines that can be taken, and those that cannot, the first few by themselves."""

    good: int = 0
    number_wrong: int = 0
    wrong: list[Wrong] = field(default_factory=list[Wrong])
    left_out: list[str] = field(default_factory=list[str])


class _Lines:
    """Reads a file's lines. ``account``: for those that name none."""

    def __init__(self, session: CliSession, account: str | None) -> None:
        self._now = session.now
        self._default = account or ""
        with session.directory() as connection:
            self._accounts = {one.name: one.id for one in accounts.list_all(connection)}
            self._owners = {one.username: one.account_id for one in credentials.list_all(connection)}
        if account is not None and account not in self._accounts:
            raise NotFound(f"no account {shown(account)}; 'gatepost account list' shows all")

    def checked(self, text: IO[str]) -> Checked:
        """Return what a file has. Raises UsageError for one without a column of addresses."""
        found = Checked()
        for one in self.read(text, found.left_out):
            if isinstance(one, Suppression):
                found.good += 1
                continue
            found.number_wrong += 1
            if len(found.wrong) < _TOLD:
                found.wrong.append(one)
        return found

    def read(self, text: IO[str], left_out: list[str] | None = None) -> Iterator[Suppression | Wrong]:
        """Yield what each line says, or what is wrong with it; ``left_out`` gets columns that say nothing."""
        rows = csv.reader(_bounded(text), strict=True)
        columns: Sequence[str] | None = None
        while True:
            try:
                row = next(rows, None)
            except (csv.Error, UnicodeError, ValueError) as error:
                yield Wrong(rows.line_num, f"cannot be read as CSV, nor what follows: {error}")
                return  # quotes that do not end: nobody knows where the next line begins
            if row is None:
                return
            if not any(map(str.strip, row)):
                continue
            if columns is None:
                columns = _header(row)
                if columns:
                    (left_out if left_out is not None else []).extend(
                        one for one in columns if one not in COLUMNS
                    )
                    continue
                columns = ("address",)
            try:
                yield self._suppression(dict(zip(columns, map(_as_meant, row), strict=False)))
            except (StoreError, ValueError) as error:
                yield Wrong(rows.line_num, str(error))

    def _suppression(self, said: dict[str, str]) -> Suppression:
        """Return what a line says. Raises StoreError and ValueError, in words."""
        name = said.get("account") or self._default
        if name not in self._accounts:
            raise NotFound(f"no account {shown(name)}" if name else "no account; name it with --account")
        credential, tag, detail = (said.get(column, "") for column in ("credential", "tag", "note"))
        if credential and self._owners.get(credential) != self._accounts[name]:
            raise NotFound(f"account {name} has no credential {shown(credential)}")
        if tag and not credential:
            raise ValueError("a tag, and no credential: it is about a credential's messages")
        reason = said.get("reason") or Reason.MANUAL.value
        if reason not in REASONS:
            raise ValueError(f"no reason {shown(reason)}; expected one of {', '.join(REASONS)}")
        if len(detail) > DETAIL_MOST or unfit(detail) or unfit(tag):
            raise ValueError(f"note or tag: at most {DETAIL_MOST} characters, all visible")
        since = self._time(said.get("since", "")) or self._now
        if since > self._now:
            raise ValueError(f"since {stamp(since)} lies in the future")
        return Suppression(
            account_id=self._accounts[name],
            address=entered(said.get("address", "")),
            reason=Reason(reason),
            since=since,
            credential=credential,
            tag=tag,
            expires_at=self._time(said.get("expires", "")),
            detail=detail,
        )

    def _time(self, text: str) -> datetime | None:
        if not text or text == "never":
            return None
        try:
            return moment_of(text)
        except (ValueError, OverflowError) as error:
            raise ValueError(
                f"{shown(text)} is not a time; expected 2027-01-31 or 2027-01-31T18:00Z"
            ) from error


def _write(session: CliSession, found: Checked, lines: Iterator[Suppression | Wrong]) -> suppressions.Put:
    """Enter what lines say, in short transactions. Raises StoreUnavailable, with how far it is."""
    done = suppressions.Put()
    good = (one for one in progress.shown(lines, "imported", found.good) if isinstance(one, Suppression))
    while batch := list(itertools.islice(good, _BATCH)):
        try:
            with session.changing() as work:
                done = done + suppressions.put(work.connection, batch, work.now)
                work.note("suppression.import", f"{len(batch)} entries", None)
        except StoreUnavailable as error:
            raise StoreUnavailable(
                f"{error}; of {found.good} lines {done.number} were taken, run it again for the others"
            ) from error
    return done


def _header(row: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that a first line names; none where it is an address already. Raises UsageError."""
    names = tuple(_ALSO.get(one, one) for one in (cell.strip().lower() for cell in row))
    if "address" in names:
        return names
    try:
        entered(row[0])
    except NoAddressError:
        raise click.UsageError(
            f"the first line is {shown(','.join(row))}; expected a header with a column address, or an "
            "address in each line"
        ) from None
    return ()


def _bounded(text: IO[str]) -> Iterator[str]:
    """Yield a file's lines. Raises ValueError for one that no list has."""
    while line := text.readline(_LINE_MOST):
        if len(line) == _LINE_MOST:
            raise ValueError(f"a line of more than {_LINE_MOST} characters")
        yield line


@contextmanager
def _opened(file: Path) -> Iterator[IO[str]]:
    """Open a file that is read twice: standard input is kept in a temporary one. Raises OSError."""
    if str(file) != "-":
        with file.open(encoding="utf-8-sig", errors="strict", newline="") as text:
            yield text
        return
    with tempfile.SpooledTemporaryFile(max_size=1 << 20) as kept:
        while piece := sys.stdin.buffer.read(1 << 16):
            kept.write(piece)
        kept.seek(0)
        yield io.TextIOWrapper(kept, encoding="utf-8-sig", newline="")


def _result(found: Checked, done: suppressions.Put) -> dict[str, Any]:
    return {
        "imported": done.changed,
        "known": done.known,
        "lifted": done.lifted,
        "wrong": found.number_wrong,
        "wrong_lines": [{"line": one.line, "why": one.why} for one in found.wrong],
    }


def _cells(listed: Listed) -> tuple[str, ...]:
    one = listed.suppression
    return (
        listed.account,
        one.address,
        one.credential,
        one.tag,
        one.reason.value,
        stamp(one.since) or "",
        stamp(one.expires_at) or "",
        one.detail,
    )


def _as_text(cell: str) -> str:
    return _TEXT + cell if cell.startswith(_FORMULA) else cell


def _as_meant(cell: str) -> str:
    cell = cell.strip()
    return cell[1:] if cell.startswith(_TEXT) and cell[1:].startswith(_FORMULA) else cell
