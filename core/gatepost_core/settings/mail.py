"""Sections of what happens to messages: tracking, DKIM, and Postfix around it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from gatepost_core.settings.base import Port, Section

Days = Annotated[int, Field(ge=0, le=36_500)]


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
        "account, nor granted to it: pass it unsigned, sign it with dkim.default_domain, or refuse it, also "
        "where the credential has not the feature dkim.",
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


class ClientsSettings(Section):
    """What people are told of how to connect, by `gatepost credential add`."""

    host: str = Field(default="", description="The name that clients connect to; empty: postfix.hostname.")
    ports: tuple[Port, ...] = Field(
        default=(), description="The ports that clients reach; empty: those of postfix.ports."
    )
    ca_file: str = Field(
        default="", description="File with the authority to verify the gateway with; empty: a public one."
    )


class SuppressionSettings(Section):
    """Whom an account's mail is not to reach any more after a bounce or a complaint, and for how long."""

    bounce_days: Days = Field(
        default=0,
        description="Days that a bounce suppresses its recipient; 0: for good. What stands already keeps its "
        "end.",
    )
    complaint_days: Days = Field(
        default=0,
        description="The same of a complaint. An unsubscribe has no end; what is entered by hand has the one "
        "that it was given.",
    )


class PostfixSettings(Section):
    """What `gatepost postfix-settings` writes into main.cf and master.cf."""

    scope: Literal["host", "ports"] = Field(
        default="ports",
        description="How much of Postfix is Gatepost's. ports: only the services named in postfix.ports, "
        "settings are their options; the Postfix around them keeps its own port 25, mailboxes, milters and "
        "filters. host: all of it, settings are main.cf's, and no mail comes in but to bounce domains.",
    )
    ports: tuple[Port, ...] = Field(
        default=(),
        description="The ports to serve. 25: submission, and the bounce domains' mail; 465: TLS from the "
        "first byte; any other: STARTTLS demanded. Empty: 25, 587, 2525 and 465 in scope host; 587, 2525 "
        "and 465 in scope ports.",
    )
    bounces_by_host: bool = Field(
        default=False,
        description="Scope ports, without 25 in postfix.ports: the host's own port 25 takes the bounce "
        "domains' mail as well. They become relay domains with a transport to gatepost-bounces, and smtpd "
        "asks gatepost-policy about their recipients (at the end of smtpd_relay_restrictions), so that only "
        "addresses with a valid token are taken. Nothing else about that port changes.",
    )
    proxy_ports: tuple[Port, ...] = Field(
        default=(),
        validate_default=True,
        description="Those of the ports to which a load balancer connects that speaks the PROXY protocol "
        "(HAProxy's send-proxy or send-proxy-v2), so that the true client is known. Nobody else may reach "
        "them: who does can claim any address.",
    )
    milters_before: tuple[str, ...] = Field(
        default=(),
        description="Milters that see a message before Gatepost's, as Postfix names them, in their order: a "
        "virus or spam filter. None of them may sign: Gatepost's edits would break the signature.",
    )
    milters_after: tuple[str, ...] = Field(
        default=(),
        description="Milters that see a message after Gatepost's, edited and signed: none may change it.",
    )
    hide_client_address: bool = Field(
        default=False,
        description="Take the client's name and address out of the Received line that Postfix adds.",
    )
    config_directory: Path = Field(
        default=Path("/etc/postfix"),
        description="Where Postfix's main.cf and master.cf are; `gatepost doctor` reads them there.",
    )
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
    tls_oldest: Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] = Field(
        default="TLSv1.2",
        description="Oldest version of TLS that clients may speak. TLSv1 and TLSv1.1 are withdrawn (RFC "
        "8996), and for devices that know no other; whoever can do better still gets better.",
    )

    @field_validator("ports", "proxy_ports")
    @classmethod
    def _each_port_once(cls, ports: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(ports)) < len(ports):
            raise ValueError("expected each port once")
        return ports

    @field_validator("proxy_ports")
    @classmethod
    def _proxied_is_served(cls, proxied: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        ports = info.data.get("ports")
        for port in proxied:
            if ports and port not in ports:
                raise ValueError(f"{port} is none of postfix.ports ({', '.join(map(str, ports))})")
        return proxied
