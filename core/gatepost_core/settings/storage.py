"""Sections of what is kept on disk: the store, the spool, the keys, hosted images; and of the log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from gatepost_core.domain.model import WallMode
from gatepost_core.settings.base import SECRET, Section


class StoreSettings(Section):
    """Where accounts, credentials, domains and messages are kept."""

    url: str = Field(
        default="sqlite:////var/lib/gatepost/directory.db",
        description="Database of accounts, credentials and sender domains, as an SQLAlchemy URL.",
        json_schema_extra=SECRET,
    )
    journal_url: str = Field(
        default="",
        description="Database of messages, events and last use. Empty: for SQLite, journal.db beside the "
        "first file (a second file, because every message writes to it).",
        json_schema_extra=SECRET,
    )
    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description="SQLite: 'full' has on disk what was committed; 'normal' may lose the last commits in a "
        "power cut, and takes them from the spool again. Message records are on disk in the spool before the "
        "client hears 250, either way.",
    )
    keep_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        default=0,
        description="Days that messages and their events are kept; 0: for good. gatepost account set "
        "--keep-days sets another number for one account.",
    )

    @field_validator("url", "journal_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        if url and not url.startswith("sqlite:///"):
            scheme = url.partition(":")[0]
            raise ValueError(f"the store is SQLite, sqlite:////path/to/file.db; {scheme!r} is not supported")
        return url

    @property
    def journal(self) -> str:
        """The URL of the second database in force."""
        return self.journal_url or self.url.rpartition("/")[0] + "/journal.db"


class SpoolSettings(Section):
    """The spool: what must not be lost is on disk there before the store has it."""

    directory: Path = Field(
        default=Path("/var/lib/gatepost/spool"),
        description="Directory of the spool, with a folder for each daemon that writes to it. On this "
        "machine's own disk, and part of every backup.",
    )
    segment_size: Annotated[int, Field(ge=2 * 1024**2, le=1024**3)] = Field(
        default=8 * 1024**2,
        description="Bytes of one file. Each worker has two, the one that it writes to and the next one.",
    )
    keep: Annotated[float, Field(ge=0, le=24 * 365)] = Field(
        default=24.0,
        description="Hours that a file stays once the store has all of it. Longer than from one backup to "
        "the next, so that what a restored store has not yet is taken from the spool. Files go earlier where "
        "they take half of what the spool may have: new mail needs the room more.",
    )
    messages_limit: Annotated[int, Field(ge=1)] = Field(
        default=2_000_000_000,
        description="Bytes that records of messages may take. Once the store has not taken that much, "
        "messages get 451.",
    )
    bounces_limit: Annotated[int, Field(ge=1)] = Field(
        default=200_000_000,
        description="Bytes that events of bounces and complaints may take. Beyond, Postfix keeps what comes "
        "back, and tries again.",
    )
    usage_limit: Annotated[int, Field(ge=1)] = Field(
        default=200_000_000,
        description="Bytes that last uses of credentials may take, and refusals by gatepost-policy as many. "
        "What does not fit is not noted; nobody is answered otherwise for it.",
    )

    clicks_limit: Annotated[int, Field(ge=1)] = Field(
        default=500_000_000,
        description="Bytes that clicks and opens may take; unsubscribes have a quarter more. What does not "
        "fit is counted and not kept; every link is answered.",
    )

    @model_validator(mode="after")
    def _room(self) -> SpoolSettings:
        for name, limit in (
            ("messages_limit", self.messages_limit),
            ("usage_limit", self.usage_limit),
            ("clicks_limit", self.clicks_limit),
        ):
            if limit < 4 * self.segment_size:
                raise ValueError(
                    f"{name}: expected at least four times segment_size, {4 * self.segment_size}"
                )
        return self

    @property
    def limits(self) -> dict[str, int]:
        """Bytes that each stream may have."""
        return {
            "milter": self.messages_limit,
            "sasl": self.usage_limit,
            "policy": self.usage_limit,
            "bounces": self.bounces_limit,
            "tracker": self.clicks_limit,
        }


class KeysSettings(Section):
    """Where the keys are: those that hash passwords, sign tokens and seal private DKIM keys."""

    directory: Path = Field(
        default=Path("/var/lib/gatepost/keys"),
        description="Directory of key files, readable by the daemons only. It belongs to every backup.",
    )


class AccountsSettings(Section):
    """Accounts and what stands between them."""

    walls: Literal["store", "enforce", "report"] = Field(
        default="store",
        description="What becomes of a message that uses a domain which another account registered, or the "
        "gateway's own name: enforce refuses it, report lets it pass and tells. store: as the store says, "
        "which 'gatepost domain walls' shows and sets: enforce in a new one, report in one of an earlier "
        "release.",
    )

    refusals_per_hour: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=100,
        description="Refusals of one credential, in an hour of the clock, that each worker of "
        "gatepost-policy and gatepost-milter records as events; 'gatepost event show' finds them by the "
        "reference that the client heard. All others are in the daemon's log, and counted. 0: none is "
        "recorded.",
    )

    @property
    def wall_mode(self) -> WallMode | None:
        """The mode, None where the store says it."""
        return None if self.walls == "store" else WallMode(self.walls)


class ImagesSettings(Section):
    """Hosted images: where embedded images go that are referenced by URL."""

    directory: Path = Field(
        default=Path("/var/lib/gatepost/images"),
        description="Directory of hosted images, a folder for each account. Shared or replicated between "
        "nodes, and part of every backup.",
    )
    quota: Annotated[int, Field(ge=0)] = Field(
        default=1_000_000_000,
        description="Bytes that the hosted images of an account may have; what has no room stays embedded. "
        "0: none is hosted. gatepost account set --image-quota sets another for one account.",
    )
    keep_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        default=0,
        description="gatepost store prune removes hosted images that no message has used for so many days, 2 "
        "at the least; 0: none, the readers of old mail find them for good.",
    )
    size_limit: Annotated[int, Field(ge=1)] = Field(
        default=5_000_000, description="Larger images, in bytes, stay embedded."
    )

    @field_validator("keep_days")
    @classmethod
    def _days(cls, days: int) -> int:
        if days == 1:  # use is noted once a day
            raise ValueError("expected 0 (for good), or 2 and more")
        return days


class LogSettings(Section):
    """Log lines, always on standard error."""

    format: Literal["logfmt", "json"] = Field(
        default="logfmt", description="One line per event, as logfmt or JSON."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level logged."
    )
