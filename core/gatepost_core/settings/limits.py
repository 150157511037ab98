"""Section of limits: those of who has none of its own, what is answered, and where is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from gatepost_core.domain.limits import Defaults, limits
from gatepost_core.domain.limits.windows import DEFAULT_ZONE, time_zone
from gatepost_core.settings.base import Section


class LimitsSettings(Section):
    """Limits: how much a credential, and an account in all, may send in a time."""

    credential: tuple[str, ...] = Field(
        default=(),
        description="Limits of each credential that has none of its own: [messages|recipients|bytes=]N/"
        "PERIOD, PERIOD one of minute, hour, day, month, such as 500/hour. gatepost credential set --limit "
        "sets others.",
    )
    account: tuple[str, ...] = Field(
        default=(),
        description="Limits of each account that has none of its own, for all of its credentials together. "
        "gatepost account set --limit sets others.",
    )
    time_zone: str = Field(
        default=DEFAULT_ZONE,
        description="Time zone in which days, months and hours of limits begin, by its name in the IANA time "
        "zone database, such as Europe/Amsterdam. gatepost account set --time-zone sets another.",
    )
    reply: Literal["451", "550"] = Field(
        default="451",
        description="Code of the reply to what is over a limit: 451 has clients try again later, 550 has "
        "them give up.",
    )
    counters: Path = Field(
        default=Path("/var/lib/gatepost/counters/counters.db"),
        description="SQLite file of what was counted, in a folder of its own that gatepost-milter may "
        "write and gatepost-policy read. Once it is gone it is counted anew from the journal.",
    )

    @field_validator("credential", "account")
    @classmethod
    def _limits(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        limits(texts)
        return texts

    @field_validator("time_zone")
    @classmethod
    def _time_zone(cls, name: str) -> str:
        return time_zone(name)

    @property
    def defaults(self) -> Defaults:
        """What holds where nothing else is set."""
        return Defaults(limits(self.credential), limits(self.account), self.time_zone)

    @property
    def for_good(self) -> bool:
        """Whether what is over a limit is refused for good."""
        return self.reply == "550"
