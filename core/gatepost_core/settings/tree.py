"""All sections as one tree, and what can be asked about it without reading any file."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, Field, PrivateAttr, field_validator
from pydantic.fields import FieldInfo

from gatepost_core.settings.base import SECRET, Section
from gatepost_core.settings.daemons import (
    BouncesSettings,
    EventsSettings,
    MilterSettings,
    PolicySettings,
    SaslSettings,
    TrackerSettings,
    WebhooksSettings,
)
from gatepost_core.settings.dashboard import DashboardSettings
from gatepost_core.settings.doctor import DoctorSettings
from gatepost_core.settings.external import LdapSettings, PamSettings
from gatepost_core.settings.hold import HoldSettings
from gatepost_core.settings.limits import IdempotencySettings, LimitsSettings, SuspensionSettings
from gatepost_core.settings.mail import (
    ClientsSettings,
    DkimSettings,
    PostfixSettings,
    SuppressionSettings,
    TrackingSettings,
)
from gatepost_core.settings.routes import RouteSettings, checked
from gatepost_core.settings.storage import (
    AccountsSettings,
    ImagesSettings,
    KeysSettings,
    LogSettings,
    SpoolSettings,
    StoreSettings,
)

PREFIX = "GATEPOST_"


class Settings(Section):
    """All settings, a section each. ``origin`` tells where a value came from."""

    store: StoreSettings = Field(default_factory=StoreSettings)
    spool: SpoolSettings = Field(default_factory=SpoolSettings)
    accounts: AccountsSettings = Field(default_factory=AccountsSettings)
    limits: LimitsSettings = Field(default_factory=LimitsSettings)
    idempotency: IdempotencySettings = Field(default_factory=IdempotencySettings)
    hold: HoldSettings = Field(default_factory=HoldSettings)
    suspension: SuspensionSettings = Field(default_factory=SuspensionSettings)
    keys: KeysSettings = Field(default_factory=KeysSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    sasl: SaslSettings = Field(default_factory=SaslSettings)
    pam: PamSettings = Field(default_factory=PamSettings)
    ldap: LdapSettings = Field(default_factory=LdapSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    milter: MilterSettings = Field(default_factory=MilterSettings)
    bounces: BouncesSettings = Field(default_factory=BouncesSettings)
    tracker: TrackerSettings = Field(default_factory=TrackerSettings)
    events: EventsSettings = Field(default_factory=EventsSettings)
    dashboard: DashboardSettings = Field(default_factory=DashboardSettings)
    webhooks: WebhooksSettings = Field(default_factory=WebhooksSettings)
    suppression: SuppressionSettings = Field(default_factory=SuppressionSettings)
    tracking: TrackingSettings = Field(default_factory=TrackingSettings)
    images: ImagesSettings = Field(default_factory=ImagesSettings)
    dkim: DkimSettings = Field(default_factory=DkimSettings)
    postfix: PostfixSettings = Field(default_factory=PostfixSettings)
    clients: ClientsSettings = Field(default_factory=ClientsSettings)
    doctor: DoctorSettings = Field(default_factory=DoctorSettings)
    # By names that the operator chooses: no section like the others, see ``tables``.
    routes: Mapping[str, RouteSettings] = Field(default_factory=dict[str, RouteSettings])
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("routes")
    @classmethod
    def _route_names(cls, routes: Mapping[str, RouteSettings]) -> Mapping[str, RouteSettings]:
        return checked(routes)

    @property
    def own_names(self) -> tuple[str, str]:
        """The gateway's own names, which no account may use: its host and everybody's click domain, or ''."""
        return self.postfix.hostname, self.tracking.click_domain

    def came_from(self, origins: Mapping[str, str]) -> None:
        """Remember where values came from, as ``section.field``: text."""
        self._origins.update(origins)

    def origin(self, name: str) -> str:
        """Return where ``section.field`` got its value: a file, a variable, a flag or ``default``."""
        return self._origins.get(name, "default")


def sections() -> Iterator[tuple[str, type[BaseModel], str]]:
    """Yield each section's name, model and prose, in the order of the sample file."""
    for name, info in Settings.model_fields.items():
        model = info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield name, model, inspect.getdoc(model) or ""


def tables() -> Iterator[tuple[str, type[BaseModel], str]]:
    """Yield what there may be several of, ``[name.NAME]``, in files alone: name, model of each, prose."""
    yield "routes", RouteSettings, inspect.getdoc(RouteSettings) or ""


def fields() -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting as ``section.field`` with its definition."""
    for section, model, _ in sections():
        for name, info in model.model_fields.items():
            yield f"{section}.{name}", info


def is_secret(info: FieldInfo) -> bool:
    """Say whether a field's value must not be printed, and may be read from ``<field>_file``."""
    return info.json_schema_extra is SECRET


def variable(name: str) -> str:
    """Return the environment variable that overrides ``section.field``."""
    return PREFIX + name.replace(".", "_").upper()
