"""The look-ups of the hot path, and whether anything has changed since the last one.

``PRAGMA data_version`` tells of a change by any process
(https://www.sqlite.org/pragma.html#pragma_data_version); it is asked only when the write-ahead log's file has
changed since, or so lately that its time stamp could not tell (git's "racy" rule), because asking takes ten
times as long as looking at the file. The log is kept open for that: no lock is ever on it, so that its
descriptor may be closed, which on SQLite's other files would let go of locks (fcntl(2)).

A database that was replaced (a restored backup) is opened anew: at once when its log is gone, as a restore
has to remove it, and within a quarter of a second otherwise.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Sequence
from typing import TypeAlias

from gatepost_core.domain.model import Bounces, Claim, Credential, SenderDomain, State, WallMode
from gatepost_core.domain.rules import normal_domain
from gatepost_core.domain.suppressing import Suppression
from gatepost_core.domain.walls import covering
from gatepost_core.store import rows
from gatepost_core.store.sqlite.driver import connect, row_factory
from gatepost_core.store.sqlite.locate import database_file, file_identity

# Ten times the kernel's clock tick, by which files are stamped.
RACY_NANOSECONDS = 100_000_000
IDENTITY_SECONDS = 0.25
# No writer holds up a reader in WAL mode; somebody who has the whole file locked must not hold up an event
# loop, and with it all other answers, for as long as Postfix waits.
_PATIENCE = 0.5
# As schema.py has them; their order does not matter, rows are read by name.
_OWNED = (
    "SELECT t.*, a.name AS account, a.image_quota, a.limits AS account_limits, a.time_zone, "
    "a.rules AS account_rules, a.route AS account_route, a.created_at AS account_created_at FROM {} AS t "
    "JOIN accounts AS a ON a.id = t.account_id WHERE t.{} = ?"
)
_CREDENTIAL = _OWNED.format("credentials", "username")
_SECRETS = "SELECT * FROM secrets WHERE credential_id = ? ORDER BY id"
# Asked only of a credential that is disabled.
_SUSPENSION = (
    "SELECT * FROM suspensions WHERE credential_id = ? AND action = 'suspended' AND lifted_at IS NULL "
    "ORDER BY id DESC LIMIT 1"
)
_DOMAIN = _OWNED.format("sender_domains", "name")
_KEYS = "SELECT * FROM dkim_keys WHERE domain_id = ? ORDER BY id"
_GRANTS = (
    "SELECT g.account_id, a.name AS account FROM domain_grants AS g "
    "JOIN accounts AS a ON a.id = g.account_id WHERE g.name = ? ORDER BY a.name"
)
_WALLS = "SELECT value FROM store_facts WHERE name = 'walls'"
# A grant of a sender domain is one of its click and bounce domain too; one of the gateway's own has no owner.
_CLAIM = (
    "SELECT asked.value AS name, d.account_id AS owner, g.account_id AS granted "
    "FROM json_each(:names) AS asked CROSS JOIN sender_domains AS d ON d.{} = asked.value "
    "LEFT JOIN domain_grants AS g ON g.name = d.name"
)
_CLAIMS = " UNION ALL ".join(
    [
        *[_CLAIM.format(column) for column in ("name", "click_domain", "bounce_domain")],
        # A retired click domain is its account's still: links in sent mail lead there.
        "SELECT asked.value, h.account_id, NULL FROM json_each(:names) AS asked "
        "CROSS JOIN click_hosts AS h ON h.host = asked.value",
        "SELECT asked.value, NULL, g.account_id FROM json_each(:names) AS asked "
        "CROSS JOIN domain_grants AS g ON g.name = asked.value",
    ]
)
_CLICK_HOST = "SELECT 1 FROM click_hosts WHERE host = ? LIMIT 1"
_FORWARDS = (
    "SELECT 1 FROM credentials AS c JOIN accounts AS a ON a.id = c.account_id "
    "WHERE c.id = ? AND a.bounces = 'forward'"
)
_BOUNCES = "SELECT bounces FROM accounts WHERE id = ?"
_BOUNCE = "SELECT 1 FROM sender_domains WHERE bounce_domain = ? LIMIT 1"

# Straight to the rows, by the index of what there may be one of. Nothing of it is cached: recipients are as
# many as messages, and mostly none of them is found.
_SUPPRESSED = (
    "SELECT s.* FROM json_each(?) AS asked CROSS JOIN suppressions AS s ON s.account_id = ? "
    "AND s.address = asked.value AND s.credential IN ('', ?) AND s.tag = '' WHERE s.removed_at IS NULL"
)
_SUPPRESSED_BY_TAG = (
    "SELECT s.* FROM json_each(?) AS asked CROSS JOIN suppressions AS s ON s.account_id = ? "
    "AND s.address = asked.value AND s.credential = ? AND s.tag IN (SELECT value FROM json_each(?)) "
    "WHERE s.removed_at IS NULL"
)

# The log's size and time, which change with each commit, and whether it has a name still.
Stamp: TypeAlias = tuple[int, int, int]

_IMPORTED = "SELECT imported_hash FROM credentials WHERE imported_hash IS NOT NULL"


class Lookups:
    """Reads one SQLite file. For one thread at a time; each method raises what sqlite.FAULTS names.

    ``changed`` goes before each look-up: it opens what is not open.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._log_name = f"{database_file(url)}-wal"
        self._connection: sqlite3.Connection | None = None
        self._log = -1
        # How the log was when SQLite was asked, unless that was too lately to tell.
        self.settled: Stamp | None = None
        self._seen: tuple[tuple[int, int], int] | None = None
        self._identity_due = 0.0

    def changed(self) -> bool:
        """Say whether what was read before may be out of date."""
        return not self.unchanged(self.settled) and not self._same_file() and self._ask()

    def unchanged(self, since: Stamp | None) -> bool:
        """Say whether the log is as it was when it was ``settled`` like this, and SQLite need not be asked.

        Many threads may ask at once, and while another does something else here.
        """
        if since is None or time.monotonic() >= self._identity_due:
            return False
        try:
            status = os.fstat(self._log)
        except OSError:  # another thread has just closed it
            return False
        return since == (status.st_size, status.st_mtime_ns, status.st_nlink)

    def credential(self, username: str) -> Credential | None:
        """Return the credential of that name with its secrets, oldest first."""
        row = self._row(_CREDENTIAL, username)
        if row is None:
            return None
        suspended = None if row["state"] == State.ACTIVE else self._row(_SUSPENSION, row["id"])
        return rows.credential(row, self._rows(_SECRETS, row["id"]), suspended)

    def domain(self, name: str) -> SenderDomain | None:
        """Return the sender domain of that name with its keys, oldest first."""
        row = self._row(_DOMAIN, normal_domain(name))
        if row is None:
            return None
        granted = [rows.grant(one) for one in self._rows(_GRANTS, row["name"])]
        return rows.domain(row, self._rows(_KEYS, row["id"]), granted)

    def bounce_domain(self, name: str) -> bool:
        """Say whether bounces of a sender domain arrive at that name."""
        return self._row(_BOUNCE, normal_domain(name)) is not None

    def click_host(self, name: str) -> bool:
        """Say whether links lead to a host, or did once (a retired click domain)."""
        return self._row(_CLICK_HOST, normal_domain(name)) is not None

    def claims(self, name: str) -> tuple[Claim, ...]:
        """Return the claims to a name in A-labels and to those above it, the longest name first."""
        assert self._connection is not None  # noqa: S101 - changed() goes first
        owners: dict[str, set[int]] = {}
        granted: dict[str, set[int]] = {}
        names = json.dumps(covering(name))
        for claimed, owner, account in self._connection.execute(_CLAIMS, {"names": names}):
            owners.setdefault(claimed, set()).update([] if owner is None else [owner])
            granted.setdefault(claimed, set()).update([] if account is None else [account])
        return tuple(
            [
                Claim(one, frozenset(owners[one]), frozenset(granted[one]))
                for one in sorted(owners, key=len, reverse=True)
            ]
        )

    def suppressions(self, account_id: int, credential: str, keys: Sequence[str]) -> list[Suppression]:
        """Return what an account has of these addresses, for all its mail or for that of a credential."""
        assert self._connection is not None  # noqa: S101 - changed() goes first
        cursor = self._connection.execute(_SUPPRESSED, (json.dumps(keys), account_id, credential))
        return [rows.suppression(row_factory(cursor, row)) for row in cursor]

    def suppressed_by_tag(
        self, account_id: int, credential: str, tags: Sequence[str], keys: Sequence[str]
    ) -> list[Suppression]:
        """Return what an account has of these addresses for a credential's mail with one of these tags."""
        assert self._connection is not None  # noqa: S101 - changed() goes first
        asked = json.dumps(keys), account_id, credential, json.dumps(tags)
        cursor = self._connection.execute(_SUPPRESSED_BY_TAG, asked)
        return [rows.suppression(row_factory(cursor, row)) for row in cursor]

    def walls(self) -> WallMode:
        """Return whether walls between accounts are enforced."""
        assert self._connection is not None  # noqa: S101 - changed() goes first
        row = self._connection.execute(_WALLS).fetchone()
        return WallMode.ENFORCE if row is None else WallMode(row[0])

    def forwards(self, credential_id: int) -> bool:
        """Say whether the account of a credential has reports forwarded."""
        return self._row(_FORWARDS, credential_id) is not None

    def bounces(self, account_id: int) -> Bounces:
        """Return what an account hears of reports; of one that is gone, events."""
        row = self._row(_BOUNCES, account_id)
        return rows.bounces_in(None if row is None else row["bounces"])

    def imported_hashes(self) -> list[str]:
        """Return all imported password hashes, in no order."""
        assert self._connection is not None  # noqa: S101 - changed() goes first
        return [text for (text,) in self._connection.execute(_IMPORTED)]

    def close(self) -> None:
        """Close what is open; the next look-up opens it again."""
        self.settled = self._seen = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        log, self._log = self._log, -1
        if log >= 0:
            os.close(log)

    def _same_file(self) -> bool:
        """Say whether it was only time to see that the file has its name still, which it has."""
        if self.settled is None or self._seen is None or self.settled != self._log_stamp():
            return False
        if file_identity(self._url) != self._seen[0]:
            return False
        self._identity_due = time.monotonic() + IDENTITY_SECONDS
        return True

    def _ask(self) -> bool:
        """Ask the file system which file it is, and SQLite whether it has changed."""
        identity = file_identity(self._url)
        log = self._log_stamp()
        if (self._seen is not None and self._seen[0] != identity) or (log is not None and not log[2]):
            self.close()
        connection = self._opened()
        log = self._log_stamp()
        seen = identity, connection.execute("PRAGMA data_version").fetchone()[0]
        # The log as it was before the question: what changed during it is asked about next time.
        settled = log is not None and time.time_ns() - log[1] > RACY_NANOSECONDS
        self.settled = log if settled else None
        self._identity_due = time.monotonic() + IDENTITY_SECONDS
        changed, self._seen = seen != self._seen, seen
        return changed

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._url, patience=_PATIENCE)
            self._connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # makes the log
        if self._log < 0:
            try:
                self._log = os.open(self._log_name, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:  # not in WAL mode: SQLite is asked each time
                self._log = -1
        return self._connection

    def _log_stamp(self) -> Stamp | None:
        """Return how the log is now; None: there is none."""
        if self._log < 0:
            return None
        status = os.fstat(self._log)
        return status.st_size, status.st_mtime_ns, status.st_nlink

    def _row(self, sql: str, key: str | int) -> rows.Row | None:
        found = self._rows(sql, key)
        return found[0] if found else None

    def _rows(self, sql: str, key: str | int) -> list[rows.Row]:
        assert self._connection is not None  # noqa: S101 - changed() goes first
        cursor = self._connection.cursor()
        cursor.row_factory = row_factory
        return cursor.execute(sql, (key,)).fetchall()
