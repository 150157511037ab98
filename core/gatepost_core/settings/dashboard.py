"""Section of the dashboard: where it listens, who stands in front of it, and its bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from gatepost_core.settings.base import Daemon
from gatepost_core.settings.daemons import networks


class DashboardSettings(Daemon):
    """gatepost-dashboard: the API and the pages, behind a web server with TLS."""

    workers: Annotated[int, Field(ge=1, le=1)] = Field(
        default=1, description="Always 1: how often somebody asks is counted in one process."
    )
    listen: str = Field(
        default="inet:127.0.0.1:2581",
        description="Socket, as unix:/PATH or inet:HOST:PORT, unless the supervisor hands one over; empty: "
        "it is not run on this host, and doctor does not ask for it.",
    )
    public_url: str = Field(
        default="",
        max_length=255,
        pattern=r"^(https?://[^/?#\s]+)?$",
        description="Where people and programs reach it, such as https://gateway.example.com; empty: as each "
        "request says.",
    )
    proxies: tuple[str, ...] = Field(
        default=(),
        description="Networks of the web servers in front, such as 127.0.0.0/8: their X-Forwarded-For says "
        "who asked. Of anybody else the field counts for nothing.",
    )
    connections: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=500, description="Connections at once; more are told to come again (503)."
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=8, description="Requests that work with the store at once; more wait for their turn."
    )
    request_seconds: Annotated[float, Field(ge=0.1, le=600)] = Field(
        default=10.0,
        description="Seconds that a request may take to arrive, and that a client may take nothing of an "
        "answer.",
    )
    body_size_limit: Annotated[int, Field(ge=1_000, le=100_000_000)] = Field(
        default=1_000_000, description="Bytes that the body of a request may have; more is refused (413)."
    )
    rate: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=600, description="Requests a minute of one API token; more are refused for a while (429)."
    )
    audit_days: Annotated[int, Field(ge=1, le=36_500)] = Field(
        default=400, description="Days that the audit log is kept."
    )

    @field_validator("proxies")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        return networks(texts)
