"""A guard that holds nobody off, for tests of what else a session does."""

from __future__ import annotations

from gatepost_sasl.counters import SharedCounters
from gatepost_sasl.guessing import Guard, Rules

_TABLE = SharedCounters(1)
HOLDS_NOBODY_OFF = Guard(_TABLE, _TABLE, Rules(limit=0, network_limit=0), _TABLE)
