"""Section of ``gatepost doctor``: from where on something is a fault, and what to leave out."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from gatepost_core.settings.base import Section


class DoctorSettings(Section):
    """`gatepost doctor`: thresholds of its checks."""

    skip: tuple[str, ...] = Field(
        default=(), description="Checks to leave out, by their names in docs/doctor.md; --skip adds others."
    )
    timeout: Annotated[float, Field(ge=0.1, le=60)] = Field(
        default=10.0, description="Seconds to wait for an answer: of a socket, a port, the DNS, a record."
    )
    certificate_days: Annotated[int, Field(ge=0, le=365)] = Field(
        default=14, description="A certificate that ends within so many days is a fault."
    )
    disk_free: Annotated[int, Field(ge=0)] = Field(
        default=1_000_000_000,
        description="Bytes that have to be free where databases, hosted images and Postfix's queue are.",
    )
    resolver: str = Field(
        default="", description="DNS server to ask, as IP or IP:PORT; empty: that of this host."
    )
    outgoing: str = Field(
        default="",
        description="A domain whose mail server is asked for its greeting, to see whether port 25 is open "
        "outwards; empty: only what the queue waits for is looked at.",
    )
    probe_sender: str = Field(
        default="",
        description="Sender of the probe message; empty: an address of the first registered sender domain.",
    )
    probe_recipient: str = Field(
        default="probe@gatepost-doctor.invalid",
        description="Recipient of the probe message, which is discarded before it gets there.",
    )

    @field_validator("probe_recipient")
    @classmethod
    def _an_address(cls, text: str) -> str:
        local, at, domain = text.rpartition("@")
        if not (local and at and domain) or any(char.isspace() or char in "<>" for char in text):
            raise ValueError(f"{text!r} is not an address such as probe@example.org")
        return text

    @field_validator("probe_sender")
    @classmethod
    def _an_address_or_nothing(cls, text: str) -> str:
        return cls._an_address(text) if text else text
