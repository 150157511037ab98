"""A journal with rows in it, for tests of what reads them: written without a spool or a daemon."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Table, insert

from gatepost_core.domain import MessageRecord
from gatepost_core.store.schema import credential_usage, messages
from gatepost_core.store.sqlite.engine import open_engine


def keep(url: str, records: Iterable[MessageRecord]) -> None:
    """Put records into a journal, as if they had come by the spool."""
    _insert(url, messages, [{**asdict(one), "mode": one.mode.value} for one in records])


def use(url: str, ids: Iterable[int], ip: str, at: datetime) -> None:
    """Note that credentials were used, which never were before."""
    rows = [{"credential_id": number, "last_used_at": at, "last_used_ip": ip} for number in ids]
    _insert(url, credential_usage, rows)


def _insert(url: str, table: Table, rows: list[dict[str, Any]]) -> None:
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(insert(table), rows)
    finally:
        engine.dispose()
