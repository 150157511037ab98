"""Sections of what happens to messages: tracking, DKIM, and Postfix around it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from gatepost_core.settings.base import Section


class TrackingSettings(Section):
    """Links that lead back to this service."""

    click_scheme: Literal["https", "http"] = Field(default="https", description="Scheme of rewritten links.")
    click_domain: str = Field(
        default="",
        description="Click domain for From domains that are not registered; empty: their links stay.",
    )


class DkimSettings(Section):
    """Signing of messages whose credential has the feature ``dkim``."""

    unregistered: Literal["pass", "default", "refuse"] = Field(
        default="pass",
        description="What to do with a message from a From domain that is not registered by the credential's "
        "account: pass it unsigned, sign it with dkim.default_domain, or refuse it.",
    )
    default_domain: str = Field(
        default="",
        validate_default=True,
        description="The registered domain that signs for others when dkim.unregistered is 'default'.",
    )
    encode_8bit: bool = Field(
        default=False,
        description="Encode 8-bit parts as quoted-printable or base64 before signing, for next hops without "
        "8BITMIME: encoded on the way out, they would no longer match the signature.",
    )
    expire_days: Annotated[int, Field(ge=0, le=365)] = Field(
        default=0, description="Days after which a signature is no longer valid (its x= tag); 0: never."
    )

    @field_validator("default_domain")
    @classmethod
    def _default_is_named(cls, domain: str, info: ValidationInfo) -> str:
        if info.data.get("unregistered") == "default" and not domain:
            raise ValueError("dkim.unregistered = 'default' needs the domain that signs")
        return domain


class PostfixSettings(Section):
    """What `gatepost postfix-settings` writes into main.cf and master.cf."""

    queue_directory: Path = Field(
        default=Path("/var/spool/postfix"),
        description="Postfix's queue directory; the sockets are in gatepost/ in it.",
    )
    hostname: str = Field(default="", description="myhostname; empty: left to Postfix.")
    message_size_limit: Annotated[int, Field(ge=10_000)] = Field(
        default=40_960_000,
        description="Largest message a client may send, in bytes. The queue gets head-room above it, "
        "so that no edit makes Postfix refuse a message.",
    )
    tls_certificate_file: Path = Field(
        default=Path("/etc/gatepost/tls/fullchain.pem"),
        description="The SMTP server's certificate chain, PEM.",
    )
    tls_key_file: Path = Field(
        default=Path("/etc/gatepost/tls/privkey.pem"), description="Its private key, PEM."
    )
