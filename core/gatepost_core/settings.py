"""Typed settings: one definition with prose, default and check for each field.

Read from a TOML file (``/etc/gatepost/gatepost.toml``), overridden by ``GATEPOST_*``
variables, overridden by flags. An unknown key or a value that does not fit raises
``SettingsError``, whose text names the setting, its value and where it came from.
A field marked as secret may also be read from a file named by ``<field>_file``.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.fields import FieldInfo

DEFAULT_FILE = Path("/etc/gatepost/gatepost.toml")
_PREFIX = "GATEPOST_"
_FILE_VARIABLE = "GATEPOST_CONFIG"
_MECHANISMS = ("PLAIN", "LOGIN", "SCRAM-SHA-256")
_SECRET: dict[str, JsonValue] = {"secret": True}

Workers = Annotated[int, Field(ge=1, le=64)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
Port = Annotated[int, Field(ge=1, le=65535)]


class SettingsError(Exception):
    """The configuration cannot be used. The text is for people: what, where from, what was expected."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Section):
    """Where accounts, credentials, domains and messages are kept."""

    url: str = Field(
        default="sqlite:////var/lib/gatepost/directory.db",
        description="Database of accounts, credentials and sender domains, as an SQLAlchemy URL.",
        json_schema_extra=_SECRET,
    )
    journal_url: str = Field(
        default="",
        description="Database of messages, events and last use. Empty: for SQLite, journal.db beside the "
        "first file (a second file, because every message writes to it).",
        json_schema_extra=_SECRET,
    )
    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description="SQLite: 'full' has a message record on disk before the client hears 250, as Postfix "
        "has the message; 'normal' may lose the last records, never messages, in a power cut.",
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


class KeysSettings(_Section):
    """Where the keys are: those that hash passwords, sign tokens and seal private DKIM keys."""

    directory: Path = Field(
        default=Path("/var/lib/gatepost/keys"),
        description="Directory of key files, readable by the daemons only. It belongs to every backup.",
    )


class LogSettings(_Section):
    """Log lines, always on standard error."""

    format: Literal["logfmt", "json"] = Field(
        default="logfmt", description="One line per event, as logfmt or JSON."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level logged."
    )


class _Daemon(_Section):
    workers: Workers = Field(default=2, description="Processes that share the listening socket.")
    drain_seconds: Seconds = Field(
        default=20.0, description="How long requests that are under way may take to end after SIGTERM."
    )
    metrics_listen: str = Field(
        default="",
        description="Where Prometheus reads metrics, as inet:HOST:PORT or unix:/PATH; empty: nowhere.",
    )


class SaslSettings(_Daemon):
    """gatepost-sasl: who may log in."""

    listen: str = Field(
        default="unix:/var/spool/postfix/gatepost/sasl",
        description="Socket, as unix:/PATH or inet:HOST:PORT, unless the supervisor hands one over.",
    )
    mechanisms: tuple[str, ...] = Field(
        default=("PLAIN", "LOGIN"),
        description="SASL mechanisms on offer: PLAIN, LOGIN, SCRAM-SHA-256 (generated passwords only: users "
        "of other back ends cannot use it, and clients choose it where it is on offer).",
    )
    failure_delay: Annotated[float, Field(ge=0, le=5)] = Field(
        default=0.25,
        description="A refused login is answered this many seconds after the request, whatever was wrong, "
        "so that time tells nothing and guessing is slow. At most 5: Postfix waits 10 seconds in all. From "
        "a user's third failure in a network on, each takes twice as long, up to 4 seconds.",
    )
    guess_limit: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=10, description="Failures after which a user is locked out in one network; 0: never."
    )
    guess_network_limit: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=100,
        description="Failures, whoever's, after which a network is locked out for every user; 0: never.",
    )
    guess_lockout: Annotated[float, Field(ge=1, le=86_400)] = Field(
        default=900.0,
        description="Seconds that a lock-out lasts. Then one attempt is let through; if that fails too, "
        "it begins anew. Failures are forgotten after four times as long without one.",
    )
    guess_ipv4_prefix: Annotated[int, Field(ge=8, le=32)] = Field(
        default=32,
        description="Length of the prefix that is one network in IPv4. A shorter one slows a guesser who "
        "has many addresses, and lets him lock out his neighbours.",
    )
    guess_ipv6_prefix: Annotated[int, Field(ge=16, le=128)] = Field(
        default=64, description="The same in IPv6, where one host has a /64 at the least."
    )
    guess_shared_networks: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Networks that are not locked out as a whole, only user by user: hosts that log in for "
        "many people, such as a webmail.",
    )

    backends: tuple[str, ...] = Field(
        default=("store",),
        description="Back ends in the order in which they are asked: store, pam, ldap. The first whose "
        "names claim a user name decides; no other is asked after it, whatever it answers.",
    )
    store_names: tuple[str, ...] = Field(
        default=("*",),
        description="User names that the store claims. A pattern is held against the whole name, without "
        "case; * stands for any characters, also none. Generated user names match gp*.",
    )

    @field_validator("backends")
    @classmethod
    def _known_backends(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in ("store", "pam", "ldap"):
                raise ValueError(f"unknown back end {name!r}; known are store, pam, ldap")
        if not names or len(set(names)) < len(names):
            raise ValueError("expected one or more of store, pam, ldap, each at most once")
        return names

    @field_validator("mechanisms")
    @classmethod
    def _known_mechanisms(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        upper = tuple(dict.fromkeys(name.upper() for name in names))
        for name in upper:
            if name not in _MECHANISMS:
                raise ValueError(f"unknown mechanism {name!r}; known are {', '.join(_MECHANISMS)}")
        if not upper:
            raise ValueError(f"at least one mechanism is needed; known are {', '.join(_MECHANISMS)}")
        return upper

    @field_validator("guess_shared_networks")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f"{text!r} is no network, such as 192.0.2.0/24 ({error})") from error
        return texts


class _External(_Section):
    """What PAM and LDAP have in common: somebody else knows the password."""

    names: tuple[str, ...] = Field(
        default=("*",), description="User names that this back end claims; patterns as in sasl.store_names."
    )
    deadline: Annotated[float, Field(ge=0.5, le=9)] = Field(
        default=8.0,
        description="A login that has no answer after this many seconds is answered 454, whatever it waits "
        "for. At most 9: Postfix waits 10.",
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=8, description="Logins that a worker asks it about at once; more wait for their turn."
    )
    breaker_faults: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=5,
        description="After this many faults in a row it is left alone for a while, and its logins are "
        "answered 454 at once; 0: never.",
    )
    breaker_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=10.0, description="How long it is left alone before one login tries it again."
    )
    cache_seconds: Seconds = Field(
        default=0.0,
        description="While it cannot answer, a login that it granted less than this many seconds ago is "
        "granted again, provided that the credential has not changed; 0: never. Each worker remembers its "
        "own, as a keyed hash in memory.",
    )
    account: str = Field(
        default="",
        description="Account that gets a credential at a name's first login; empty: only names for which "
        "the operator made a credential may log in.",
    )
    features: tuple[str, ...] = Field(
        default=(), description="Features of a credential made at first login, as NAME or NAME=VALUE."
    )
    networks: tuple[str, ...] = Field(
        default=(), description="Networks of a credential made at first login, as CIDR blocks; empty: any."
    )


class PamSettings(_External):
    """The PAM back end: users of this host, or whatever its PAM service asks."""

    service: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        default="gatepost", description="PAM service, a file of that name in /etc/pam.d."
    )
    fold_case: bool = Field(
        default=False, description="Turn names into lower case first; right only if PAM takes any case."
    )
    senders: tuple[str, ...] = Field(
        default=(),
        description="Senders of a credential made at first login; {user} stands for the name. Empty: any.",
    )


class LdapSettings(_External):
    """The LDAP back end: a directory such as OpenLDAP or Active Directory."""

    servers: tuple[str, ...] = Field(
        default=(),
        description="Servers in the order in which they are tried, as ldap://HOST[:PORT] or "
        "ldaps://HOST[:PORT]; one that fails is left out for a while.",
    )
    tls: Literal["required", "none"] = Field(
        default="required",
        description="'required': ldap:// servers get StartTLS before anything else is said; 'none': "
        "passwords cross the network in clear. ldaps:// is always TLS.",
    )
    ca_file: str = Field(
        default="",
        description="Certificates (PEM) of the authority that the servers' certificates must come from; "
        "empty: those that the system trusts.",
    )
    verify: bool = Field(
        default=True,
        description="Hold the servers' certificates against ca_file and the host name; false lets anybody "
        "between the two read passwords.",
    )
    connect_timeout: Annotated[float, Field(gt=0, le=9)] = Field(
        default=2.0, description="Seconds to wait for a server to accept a connection."
    )
    receive_timeout: Annotated[int, Field(ge=1, le=9)] = Field(
        default=3, description="Whole seconds to wait for a server's answer."
    )
    retry_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=30.0, description="How long a server that failed comes after the others."
    )
    bind_dn: str = Field(
        default="",
        description="Distinguished name (or user@domain) to search as; empty: anonymously. Not used with "
        "user_template.",
    )
    bind_password: str = Field(default="", description="The password of bind_dn.", json_schema_extra=_SECRET)
    base: str = Field(
        default="", description="Where to search for users, a distinguished name. Needed for a search."
    )
    filter: str = Field(
        default="(uid={user})",
        description="Search filter for a user; {user}, {local} and {domain} stand for the name and its parts "
        "before and after the last @, escaped. Exactly one entry must match.",
    )
    user_template: str = Field(
        default="",
        description="Direct bind: what to bind as, without a search first, such as "
        "uid={user},ou=people,dc=example,dc=org or {local}@corp.example.org; empty: search, then bind.",
    )
    name_attribute: str = Field(
        default="uid",
        description="Attribute whose value becomes the credential's user name, so that one person has one "
        "credential whatever spelling the filter lets in; sAMAccountName in Active Directory. Empty: the "
        "name as given. Not used with user_template.",
    )
    fold_case: bool = Field(
        default=True, description="Turn names into lower case first, as directories do not tell case."
    )
    senders: tuple[str, ...] = Field(
        default=(),
        description="Senders of a credential made at first login; {user} stands for the name, {mail} and "
        "the like for each value of that attribute. Empty: any. A login for which none results is refused.",
    )
    group_attribute: str = Field(
        default="memberOf", description="Attribute of a user that names the groups; empty: none."
    )
    group_base: str = Field(
        default="", description="Where to search for groups by group_filter; empty: no search."
    )
    group_filter: str = Field(
        default="(member={dn})",
        description="Search filter for a user's groups; {dn} and {user} stand for the user, escaped.",
    )
    group_features: tuple[str, ...] = Field(
        default=(),
        description="Features for members of a group at first login, as GROUP => NAME[=VALUE]; GROUP is its "
        "distinguished name or the value of that name's first part, such as marketing.",
    )

    @field_validator("servers")
    @classmethod
    def _uris(cls, servers: tuple[str, ...]) -> tuple[str, ...]:
        for server in servers:
            if not re.fullmatch(r"ldaps?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?/?", server):
                raise ValueError(f"{server!r} is not ldap://HOST[:PORT] or ldaps://HOST[:PORT]")
        return servers


class PolicySettings(_Daemon):
    """gatepost-policy: what a credential may send."""

    listen: str = Field(
        default="unix:/var/spool/postfix/gatepost/policy",
        description="Socket, as unix:/PATH or inet:HOST:PORT, unless the supervisor hands one over.",
    )
    bounce_ports: tuple[Port, ...] = Field(
        default=(25,),
        description="SMTP ports on which bounces are taken without a login, at the bounce domains only.",
    )


class MilterSettings(_Daemon):
    """gatepost-milter: what happens to a message."""

    listen: str = Field(
        default="unix:/var/spool/postfix/gatepost/milter",
        description="Socket, as unix:/PATH or inet:HOST:PORT. libmilter makes it itself.",
    )
    threads: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4, description="Threads per worker that edit messages; libmilter's own threads only collect."
    )
    edit_size_limit: Annotated[int, Field(ge=1)] = Field(
        default=10_000_000,
        description="Messages with more bytes than this pass without changes to their HTML, "
        "and the log says so.",
    )


class TrackingSettings(_Section):
    """Links that lead back to this service."""

    click_scheme: Literal["https", "http"] = Field(default="https", description="Scheme of rewritten links.")
    click_domain: str = Field(
        default="",
        description="Click domain for From domains that are not registered; empty: their links stay.",
    )


class ImagesSettings(_Section):
    """Hosted images: where embedded images go that are referenced by URL."""

    directory: Path = Field(
        default=Path("/var/lib/gatepost/images"),
        description="Directory of hosted images, named after their content. Shared or replicated between "
        "nodes, and part of every backup.",
    )
    size_limit: Annotated[int, Field(ge=1)] = Field(
        default=5_000_000, description="Larger images, in bytes, stay embedded."
    )


class DkimSettings(_Section):
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


class PostfixSettings(_Section):
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


class Settings(_Section):
    """All settings, a section each. ``origin`` tells where a value came from."""

    store: StoreSettings = Field(default_factory=StoreSettings)
    keys: KeysSettings = Field(default_factory=KeysSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    sasl: SaslSettings = Field(default_factory=SaslSettings)
    pam: PamSettings = Field(default_factory=PamSettings)
    ldap: LdapSettings = Field(default_factory=LdapSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
    milter: MilterSettings = Field(default_factory=MilterSettings)
    tracking: TrackingSettings = Field(default_factory=TrackingSettings)
    images: ImagesSettings = Field(default_factory=ImagesSettings)
    dkim: DkimSettings = Field(default_factory=DkimSettings)
    postfix: PostfixSettings = Field(default_factory=PostfixSettings)
    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    def origin(self, name: str) -> str:
        """Return where ``section.field`` got its value: a file, a variable, a flag or ``default``."""
        return self._origins.get(name, "default")


def sections() -> Iterator[tuple[str, type[BaseModel], str]]:
    """Yield each section's name, model and prose, in the order of the sample file."""
    for name, info in Settings.model_fields.items():
        model = info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield name, model, (model.__doc__ or "").strip()


def fields() -> Iterator[tuple[str, FieldInfo]]:
    """Yield every setting as ``section.field`` with its definition."""
    for section, model, _ in sections():
        for name, info in model.model_fields.items():
            yield f"{section}.{name}", info


def is_secret(info: FieldInfo) -> bool:
    """Say whether a field's value must not be printed, and may be read from ``<field>_file``."""
    return info.json_schema_extra is _SECRET


def variable(name: str) -> str:
    """Return the environment variable that overrides ``section.field``."""
    return _PREFIX + name.replace(".", "_").upper()


def load(
    config_file: Path | str | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings in force.

    ``config_file`` must exist when it is given here or as GATEPOST_CONFIG; the default file may
    be absent. ``overrides`` maps ``section.field`` to text, as flags give it. Raises SettingsError.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, tuple[Any, str]] = {}
    named = config_file or environ.get(_FILE_VARIABLE)
    path = Path(named) if named else DEFAULT_FILE
    if named or path.exists():
        values.update(_from_file(path))
    values.update(_from_variables(environ))
    for name, text in (overrides or {}).items():
        values.update(_checked(name, text, f"flag {name}"))  # without its text: it may be a secret
    return _build(_with_secrets(values))


def _from_file(path: Path) -> dict[str, tuple[Any, str]]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be read: {error.strerror}; "
            "name the settings file with --config or GATEPOST_CONFIG"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is not a TOML file: {error}") from error
    values: dict[str, tuple[Any, str]] = {}
    for section, table in document.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: {section}: expected a section, [{section}], with settings in it")
        if section not in Settings.model_fields:
            raise SettingsError(
                f"{path}: [{section}]: unknown section{_near(section, Settings.model_fields)}"
            )
        for field, value in table.items():
            values.update(_checked(f"{section}.{field}", value, str(path)))
    return values


def _from_variables(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    known = {variable(name): name for name in _known_names()}
    values: dict[str, tuple[Any, str]] = {}
    for key, text in environ.items():
        if not key.startswith(_PREFIX) or key == _FILE_VARIABLE:
            continue
        if key not in known:
            raise SettingsError(f"environment: {key}: unknown setting{_near(key, known)}")
        values.update(_checked(known[key], text, f"variable {key}"))
    return values


def _known_names() -> dict[str, FieldInfo]:
    names = dict(fields())
    names.update({f"{name}_file": info for name, info in fields() if is_secret(info)})
    return names


def _checked(name: str, value: Any, origin: str) -> dict[str, tuple[Any, str]]:
    known = _known_names()
    if name not in known:
        raise SettingsError(f"{origin}: {name}: unknown setting{_near(name, known)}")
    if isinstance(value, str) and get_origin(known[name].annotation) is tuple:
        value = [item.strip() for item in value.split(",") if item.strip()]
    return {name: (value, origin)}


def _near(name: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _with_secrets(values: dict[str, tuple[Any, str]]) -> dict[str, tuple[Any, str]]:
    for name, info in fields():
        named = values.pop(f"{name}_file", None)
        if named is None or not is_secret(info):
            continue
        if name in values:
            raise SettingsError(
                f"{name} and {name}_file are both set ({values[name][1]}; {named[1]}); keep one"
            )
        path, origin = named
        try:
            values[name] = (Path(path).read_text(encoding="utf-8").strip(), f"{origin}, file {path}")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{origin}: {name}_file: {path} cannot be read: {error}") from error
    return values


def _build(values: dict[str, tuple[Any, str]]) -> Settings:
    tree: dict[str, dict[str, Any]] = {}
    for name, (value, _) in values.items():
        section, _, field = name.partition(".")
        tree.setdefault(section, {})[field] = value
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        raise SettingsError(_explained(error, values)) from error
    settings._origins.update({name: origin for name, (_, origin) in values.items()})
    return settings


def _explained(error: ValidationError, values: Mapping[str, tuple[Any, str]]) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"][:2])
        value, origin = values.get(name, (problem.get("input"), "default"))
        info = dict(fields()).get(name)
        shown = "***" if info is not None and is_secret(info) else repr(value)
        text = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{origin}: {name} = {shown}: {text[0].lower()}{text[1:]}")
    return "\n".join(lines)
