"""A guard that holds nobody off, for tests of what else a session does."""

from __future__ import annotations

from gatepost_core.domain.logins.guessing import Guard, Rules
from gatepost_core.serving.counting import SharedCounters

_TABLE = SharedCounters(1)
HOLDS_NOBODY_OFF = Guard(_TABLE, _TABLE, Rules(limit=0, network_limit=0), _TABLE)
