"""What answers look like, for the OpenAPI document; what is told beyond is told as well."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gatepost_core.domain import Bounces, Mode
from gatepost_core.domain.access import Role


class Answer(BaseModel):
    """An answer's body."""

    model_config = ConfigDict(extra="allow")


class Credential(Answer):
    """A credential. It never shows a password."""

    username: str
    account: str
    label: str
    state: Literal["active", "disabled"]
    mode: Mode
    expires_at: str | None
    expired: bool
    features: dict[str, Any]
    limits: list[str] | None
    suspension: dict[str, Any] | None
    source: str
    created_at: str
    last_used_at: str | None
    last_used_ip: str | None


class MadeCredential(Credential):
    """A credential with its password, which is told this once; null where another system knows it."""

    password: str | None


class Rotated(Answer):
    """A new password, told this once, and until when the old one is valid."""

    username: str
    password: str
    old_password_until: str | None


class Account(Answer):
    """An account, with the rules and limits of its credentials."""

    name: str
    created_at: str
    image_quota: int
    keep_days: int
    limits: list[str] | None
    time_zone: str
    route: str | None
    bounces: Bounces
    suspension: dict[str, Any]


class Token(Answer):
    """An API token, without its text. ``account`` null: an operator's."""

    id: str
    name: str
    account: str | None
    scopes: list[str]
    networks: list[str]
    created_at: str
    created_by: str
    expires_at: str | None
    expired: bool
    last_used_at: str | None
    last_used_ip: str | None


class MadeToken(Token):
    """A token with its text, which is told this once."""

    token: str


class User(Answer):
    """Who may sign in to the dashboard; ``roles`` by account."""

    name: str
    operator: bool
    roles: dict[str, Role]
    enabled: bool
    password_chosen: bool
    second_factor: bool
    created_at: str
    last_sign_in_at: str | None


class InvitedUser(User):
    """A user with the link by which a password is chosen: good once, for a day, and told this once."""

    link: str


class UserSession(Answer):
    """Where a user is signed in."""

    signed_in_at: str
    last_used_at: str
    ip: str
    agent: str


class UserSessions(Answer):
    """A user's sessions, the newest first."""

    sessions: list[UserSession]


class Suppression(Answer):
    """A suppression: in force, expired or removed."""

    id: str
    account: str
    address: str
    scope: str
    credential: str
    tag: str
    reason: str
    state: str
    since: str
    expires_at: str | None
    removed_at: str | None
    event: str
    message: str
    detail: str


class Message(Answer):
    """What is recorded of a message."""

    id: str
    created_at: str
    username: str
    queue_id: str
    sender: str
    recipients: list[str]
    header_from: str
    subject: str
    size: int
    tags: list[str]
    status: str
    mode: Mode


class Event(Answer):
    """What happened, to which message and recipient."""

    id: str
    time: str
    type: str
    message: str
    recipient: str
    credential: str
    account: str | None
    tags: list[str]
    metadata: dict[str, Any]
    detail: dict[str, Any]


class MessageShown(Message):
    """A message with what became of it."""

    recipient_states: list[dict[str, Any]]
    events: list[Event]


class Order(Answer):
    """What was asked for of a held message, and what came of it so far."""

    id: str
    verb: Literal["release", "drop"]
    by: str
    at: str
    state: str
    reason: str
    node: str


class HeldMessage(Answer):
    """A message in the hold queue."""

    id: str
    queue_id: str
    since: str
    reason: str
    credential: str
    recipients: list[str]
    subject: str
    asked: dict[str, Any] | None


class Domain(Answer):
    """A sender domain."""

    name: str
    account: str
    grants: list[str]
    click_domain: str
    bounce_domain: str
    selectors: dict[str, str]
    created_at: str


class DomainShown(Domain):
    """A sender domain with its DKIM keys."""

    keys: list[dict[str, Any]]


class Webhook(Answer):
    """A webhook and how it fares; no secret is shown."""

    id: str
    account: str
    url: str
    label: str
    types: list[str]
    state: Literal["active", "off"]
    off_reason: str
    waiting: int
    failures: int
    last_answer: str


class LimitUsed(Answer):
    """A limit and how much of it is used; ``scope``: of a credential, or of its account."""

    limit: str
    scope: Literal["credential", "account"]
    name: str
    most: int
    used: int
    share: int
    resets: str


class Stats(Answer):
    """What was counted, by what."""

    by: Literal["credential", "tag", "domain"]
    stats: list[dict[str, Any]]


class AuditEntry(Answer):
    """Who changed what."""

    id: str
    time: str
    actor_kind: Literal["node", "token", "user"]
    actor_id: str | None
    actor: str
    address: str | None
    account: str | None
    action: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class EventTypes(Answer):
    """The types of events that there are."""

    types: list[str]


class Page(Answer):
    """A page of a list: one array, and the address of the next page or null."""

    next: str | None = Field(description="The path of the next page; null at the end.")


class Credentials(Page):
    """A page of credentials, the newest first."""

    credentials: list[Credential]


class Accounts(Page):
    """A page of accounts, by name."""

    accounts: list[Account]


class Tokens(Page):
    """A page of tokens, the oldest first."""

    tokens: list[Token]


class Users(Page):
    """A page of users, by name."""

    users: list[User]


class Messages(Page):
    """A page of messages, the newest first."""

    messages: list[Message]


class HeldMessages(Page):
    """A page of messages in the hold queue, the newest first."""

    held: list[HeldMessage]


class Events(Page):
    """A page of events, the newest first."""

    events: list[Event]


class Suppressions(Page):
    """A page of suppressions, the newest first."""

    suppressions: list[Suppression]


class Domains(Page):
    """A page of sender domains, by name."""

    domains: list[Domain]


class Webhooks(Page):
    """A page of webhooks, the oldest first."""

    webhooks: list[Webhook]


class LimitsUsed(Page):
    """A page of limits, those of the newest credentials first."""

    limits: list[LimitUsed]


class AuditLog(Page):
    """A page of the audit log, the newest first."""

    audit: list[AuditEntry]


class Problem(BaseModel):
    """What went wrong (RFC 9457), as application/problem+json."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = Field(default_factory=list, description="Fields that cannot be used.")
