"""What bodies of requests look like, for checks and for the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from gatepost_core.domain import Bounces, Mode
from gatepost_core.domain.access import Role

Text = Annotated[str, Field(max_length=1_000)]
Texts = Annotated[list[Text], Field(max_length=1_000)]


def _in_utc(at: datetime) -> datetime:
    """Return it in UTC; ValueError for what is before the year 1 there, or after 9999."""
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("expected a time that is in the years 1 to 9999 in UTC, too") from error


# With an offset, RFC 3339; in UTC from here on, so that nothing behind has to count with offsets.
Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]
FeatureIn = bool | Text | Texts
Word = Annotated[str, Field(max_length=64)]


class Body(BaseModel):
    """A request's body: what is not known is an error."""

    model_config = ConfigDict(extra="forbid")


class Rules(Body):
    """What a credential is held to: null for its account's defaults, an empty list or 'none' for nothing."""

    senders: Texts | None = Field(None, description="Addresses, domains or *.domains that it may send from.")
    networks: Texts | None = Field(None, description="Networks that it may log in from, in CIDR notation.")
    recipients: Texts | None = Field(None, description="Whom it may send to.")
    denied_recipients: Texts | None = Field(None, description="Whom it may not send to.")
    max_recipients: Annotated[int, Field(ge=0)] | None = Field(None, description="Recipients of a message.")
    max_size: Annotated[int, Field(ge=0)] | None = Field(None, description="Bytes of a message.")
    min_tls: Literal["1.2", "1.3", "none"] | None = Field(None, description="The oldest TLS of a session.")
    hold_places: Texts | None = Field(
        None, description="What comes from a new place of these kinds is held: country, network."
    )
    hours: Texts | None = Field(None, description="When it may send, such as 'Mon-Fri 08:00-18:00'.")


class Limits(Body):
    """How much may be sent."""

    limits: Annotated[list[Word], Field(max_length=20)] | None = Field(
        None,
        description="Limits as [messages|recipients|bytes=]N/PERIOD, such as 500/hour; an empty list: none; "
        "null: what the settings say.",
        examples=[["500/hour", "recipients=10K/day"]],
    )


class CredentialChange(Rules, Limits):
    """What can be changed of a credential; what is left out stays."""

    label: Annotated[str, Field(max_length=255)] = Field("", description="What it is for.")
    mode: Mode = Field(Mode.LIVE, description="live, hold (until released) or sandbox (not delivered).")
    features: dict[Word, FeatureIn] = Field(
        default_factory=dict, max_length=100, examples=[{"trackclicks": True, "tags": ["invoice"]}]
    )
    expires_at: Time | None = Field(None, description="When it ends; null: never.")
    overrides: Literal["allowed", "ignored"] = "allowed"
    edit_signed: bool = False
    header_add: Annotated[list[Text], Field(max_length=50)] = Field(default_factory=list)
    header_drop: Annotated[list[Text], Field(max_length=50)] = Field(default_factory=list)
    unsubscribe_scope: Literal["credential", "tag"] = "credential"
    transactional: bool = False
    route: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="The way out of its mail; for operators. null: its account's."
    )
    password_hash: Annotated[str, Field(max_length=500)] | None = Field(
        None, description="An argon2id hash of another system; for operators."
    )


class NewCredential(CredentialChange):
    """A credential to be made."""

    account: Annotated[str, Field(max_length=64)] = Field(
        "", description="Who owns it; a token of an account may leave it out."
    )
    username: Annotated[str, Field(max_length=255)] = Field(
        "", description="A chosen name, for operators; without it one is generated."
    )
    source: Literal["store", "pam", "ldap"] = Field("store", description="Who knows the password.")


class Rotation(Body):
    """How a password is changed."""

    overlap_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = Field(
        86_400, description="How long the password until now stays valid; 0: it ends now."
    )


class AccountChange(Rules, Limits):
    """What can be changed of an account, by operators; what is left out stays."""

    image_quota: Annotated[int, Field(ge=0, le=10**15)] | None = Field(
        None, description="Bytes of its hosted images; null: what the settings say."
    )
    keep_days: Annotated[int, Field(ge=0, le=36_500)] | None = Field(
        None, description="Days that its messages are kept; 0: for good; null: what the settings say."
    )
    time_zone: Word | None = Field(None, description="Where its days begin, such as Europe/Amsterdam.")
    route: Word | None = Field(None, description="The way out of its mail; null: that of all other mail.")
    bounces: Bounces | None = Field(None, description="What it hears of bounces; null: events alone.")


class NewAccount(AccountChange):
    """An account to be made."""

    name: Word = Field(description="Letters, digits, '.', '_' or '-'.", examples=["acme"])


class NewToken(Body):
    """An API token to be made; it can do no more than the one that makes it."""

    name: Annotated[str, Field(min_length=1, max_length=255)] = Field(description="What it is for.")
    scopes: Annotated[list[Word], Field(min_length=1, max_length=100)] = Field(
        description="Such as credentials:read; KIND for both ways, read, write, or all.",
        examples=[["credentials", "messages:read"]],
    )
    account: Word | None = Field(None, description="Whose it is; null: the actor's own, or of operators.")
    networks: Annotated[list[Word], Field(max_length=50)] = Field(
        default_factory=list, description="Where it may be used from; empty: anywhere."
    )
    expires_at: Time | None = Field(None, description="When it ends; null: never.")


class NewUser(Body):
    """Somebody who is to sign in to the dashboard: an operator, or with a role in an account."""

    name: Annotated[str, Field(min_length=1, max_length=255)] = Field(
        description="The name to sign in with, such as an address.", examples=["alice@example.com"]
    )
    operator: bool = Field(False, description="Sees and changes everything, in all accounts.")
    roles: Annotated[dict[Word, Role], Field(max_length=100)] = Field(
        default_factory=dict, description="What the user is in accounts, by their names."
    )


class UserChange(Body):
    """What can be changed of a user; what is left out stays. Whoever is changed is signed out."""

    operator: bool | None = Field(None, description="Sees and changes everything, or no more.")
    enabled: bool | None = Field(None, description="May sign in, or not.")
    roles: Annotated[dict[Word, Role | None], Field(max_length=100)] = Field(
        default_factory=dict, description="By accounts' names; null takes the role away."
    )
    without_second: bool = Field(False, description="Remove the second factor, of who lost it.")


class NewSuppression(Body):
    """Whom mail is not to reach."""

    address: Annotated[str, Field(max_length=320)] = Field(description="An address, a domain, or *.domain.")
    account: Word | None = Field(None, description="Whose mail; a token of an account may leave it out.")
    credential: Annotated[str, Field(max_length=255)] = Field("", description="Only this one's mail.")
    tag: Annotated[str, Field(max_length=255)] = Field("", description="Only its messages with this tag.")
    expires_at: Time | None = Field(None, description="When it ends; null: never.")
    note: Annotated[str, Field(max_length=300)] = Field("", description="Why, for whoever asks later.")


class WebhookChange(Body):
    """What can be changed of a webhook; what is left out stays."""

    url: Annotated[str, Field(max_length=2_000)] = Field("", description="Where events are sent.")
    types: Annotated[list[Word], Field(max_length=50)] = Field(
        default_factory=list, description="Which events; none: all."
    )
    label: Annotated[str, Field(max_length=255)] = Field("", description="What it is for.")
    allow_private: bool = Field(False, description="Addresses that are not public, too; for operators.")
