"""Sections of limits, of idempotent submission, and of suspension: when a credential is disabled."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from gatepost_core.domain.limits import Defaults, limits
from gatepost_core.domain.limits.suspending import Cause, Threshold, Thresholds
from gatepost_core.domain.limits.windows import DEFAULT_ZONE, time_zone
from gatepost_core.settings.base import Section

Percent = Annotated[float, Field(ge=0, le=100)]


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


class IdempotencySettings(Section):
    """Idempotent submission: a message with a key of its sender's own is queued once."""

    hours: Annotated[float, Field(ge=1, le=720)] = Field(
        default=24.0,
        description="How many hours a key of X-Gatepost-Idempotency-Key is known. A message that is sent "
        "again later is another one.",
    )
    most: Annotated[int, Field(ge=1)] = Field(
        default=1_000_000,
        description="For how many recipients a credential may have keys in that time. Beyond it messages "
        "with a new key get 451.",
    )


class SuspensionSettings(Section):
    """When a credential is warned, and then suspended: disabled, until somebody enables it again.

    Shares count over a window, of the recipients of its live messages. All is off by default.
    """

    window_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        default=24, description="Hours that shares are counted over."
    )
    least: Annotated[int, Field(ge=1)] = Field(
        default=1_000,
        description="Recipients that a credential must have in that time before its shares say anything.",
    )
    bounces_warn: Percent = Field(
        default=0,
        description="Per cent of recipients whose mailbox is not there, above which a credential is warned "
        "of: log, event and webhook. 0: never. 4 is what large providers warn at.",
    )
    bounces_suspend: Percent = Field(
        default=0, description="The same, above which it is suspended. 0: never. 8 is usual."
    )
    complaints_warn: Percent = Field(
        default=0,
        description="Per cent of recipients who complained, with a proof (docs/bounces.md), above which a "
        "credential is warned of. 0: never. Gmail and Yahoo ask to stay below 0.1.",
    )
    complaints_suspend: Percent = Field(
        default=0,
        description="The same, above which it is suspended. 0: never. Gmail and Yahoo block from 0.3 on.",
    )
    new_recipients_warn: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="Recipients in an hour to whom the account had not written before, above which a "
        "credential is warned of, whose password may have been stolen. 0: never.",
    )
    new_recipients_suspend: Annotated[int, Field(ge=0)] = Field(
        default=0, description="The same, above which it is suspended. 0: never."
    )

    @model_validator(mode="after")
    def _warns_first(self) -> Self:
        for name in ("bounces", "complaints", "new_recipients"):
            warn, suspend = getattr(self, f"{name}_warn"), getattr(self, f"{name}_suspend")
            if suspend and warn > suspend:
                raise ValueError(f"{name}_warn = {warn:g} is above {name}_suspend = {suspend:g}")
        return self

    @property
    def thresholds(self) -> Thresholds:
        """Return all of it as a value."""
        of = {
            Cause.BOUNCES: Threshold(self.bounces_warn, self.bounces_suspend),
            Cause.COMPLAINTS: Threshold(self.complaints_warn, self.complaints_suspend),
            Cause.NEW_RECIPIENTS: Threshold(self.new_recipients_warn, self.new_recipients_suspend),
        }
        return Thresholds(timedelta(hours=self.window_hours), self.least, of)
