"""What the sections of the settings have in common: strictness, and the types that recur."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Workers = Annotated[int, Field(ge=1, le=64)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
Listen = Annotated[
    str,
    Field(description="Socket, as unix:/PATH or inet:HOST:PORT, unless the supervisor hands one over."),
]
Port = Annotated[int, Field(ge=1, le=65535)]

# A field with this in its definition is never printed and may be read from a file.
SECRET: dict[str, JsonValue] = {"secret": True}


class Section(BaseModel):
    """A section: unknown names are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Daemon(Section):
    """What every daemon has."""

    workers: Workers = Field(default=2, description="Processes that share the listening socket.")
    drain_seconds: Seconds = Field(
        default=20.0, description="How long requests that are under way may take to end after SIGTERM."
    )
    hang_seconds: Seconds = Field(
        default=30.0,
        description="A process that serves nobody for so long, because it hangs or all its threads do, is "
        "replaced; 0: never.",
    )
    metrics_listen: str = Field(
        default="",
        description="Where Prometheus reads metrics, as inet:HOST:PORT or unix:/PATH; empty: nowhere.",
    )
    listen: Listen
