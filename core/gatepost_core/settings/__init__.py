"""Typed settings: one definition with prose, default and check for each field.

Sections are defined in ``storage``, ``daemons``, ``dashboard``, ``external``, ``mail``, ``limits``, ``hold``,
``routes`` and ``doctor``; ``tree`` puts them together, ``loading`` reads files, variables and flags, and
raises ``SettingsError`` for what it cannot use.
"""

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
from gatepost_core.settings.loading import DEFAULT_FILE, SettingsError, file_of, load
from gatepost_core.settings.mail import (
    ClientsSettings,
    DkimSettings,
    PostfixSettings,
    SuppressionSettings,
    TrackingSettings,
)
from gatepost_core.settings.routes import RouteSettings
from gatepost_core.settings.storage import (
    AccountsSettings,
    ImagesSettings,
    KeysSettings,
    LogSettings,
    SpoolSettings,
    StoreSettings,
)
from gatepost_core.settings.tree import Settings, fields, is_secret, sections, tables, variable

__all__ = [
    "DEFAULT_FILE",
    "AccountsSettings",
    "BouncesSettings",
    "ClientsSettings",
    "DashboardSettings",
    "DkimSettings",
    "DoctorSettings",
    "EventsSettings",
    "HoldSettings",
    "IdempotencySettings",
    "ImagesSettings",
    "KeysSettings",
    "LdapSettings",
    "LimitsSettings",
    "LogSettings",
    "MilterSettings",
    "PamSettings",
    "PolicySettings",
    "PostfixSettings",
    "RouteSettings",
    "SaslSettings",
    "Settings",
    "SettingsError",
    "SpoolSettings",
    "StoreSettings",
    "SuppressionSettings",
    "SuspensionSettings",
    "TrackerSettings",
    "TrackingSettings",
    "WebhooksSettings",
    "fields",
    "file_of",
    "is_secret",
    "load",
    "sections",
    "tables",
    "variable",
]
