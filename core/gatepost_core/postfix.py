"""The main.cf and master.cf settings that Gatepost counts on, each with its reason.

One definition for ``gatepost postfix-settings``, ``script/server`` and the roles: pure
data made from the settings, nothing is read or written. Names and meanings: postconf(5),
master(5), SASL_README, SMTPD_POLICY_README and MILTER_README of Postfix 3.7 and later.
A misspelt parameter is only a warning to Postfix, so a test asks postconf about each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gatepost_core.settings import Settings

Role = Literal["mx", "submission", "submissions"]

# Head-room in the queue for what edits add to a message: as much again, and a share for small ones.
_HEAD_ROOM = 1_000_000
_POLICY_DOWN = "451 4.3.0 The policy service is not available; try again later"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One line of main.cf, or one ``-o`` option of a service, and why it is needed."""

    name: str
    value: str
    reason: str

    @property
    def line(self) -> str:
        """The parameter as it stands in main.cf."""
        return f"{self.name} = {self.value}".rstrip()


@dataclass(frozen=True, slots=True)
class Service:
    """One smtpd(8) service of master.cf (master(5)), chroot column and options spelt out.

    ``role`` says what the port is for: ``mx`` takes bounces without a login as well,
    ``submission`` demands STARTTLS, ``submissions`` is TLS from the first byte.
    """

    name: str
    role: Role
    options: tuple[Parameter, ...]
    reason: str

    @property
    def entry(self) -> str:
        """The service as it stands in master.cf: one logical line, an option on each further line."""
        first = f"{self.name} inet n - n - - smtpd"
        return "\n".join([first, *(f"  -o {{ {option.line} }}" for option in self.options)])


def queue_size_limit(settings: Settings) -> int:
    """Return main.cf's message_size_limit in bytes: what a message may have in the queue, after edits."""
    return 2 * settings.postfix.message_size_limit + _HEAD_ROOM


def main_cf(settings: Settings, bounce_domains: Iterable[str]) -> list[Parameter]:
    """Return the main.cf parameters, in the order to print them."""
    return [
        Parameter(name, value, reason)
        for section in (
            _general(settings),
            _tls(settings),
            _login(settings),
            _restrictions(settings, bounce_domains),
            _milter(settings),
            _headers(settings),
            _attacks(),
        )
        for name, value, reason in section
    ]


def master_cf(settings: Settings) -> list[Service]:
    """Return the services of ports 25, 587, 2525 and 465."""
    limit = Parameter(
        "message_size_limit",
        str(settings.postfix.message_size_limit),
        "What a client may send; main.cf holds the larger limit that the queue has.",
    )
    encrypt = Parameter(
        "smtpd_tls_security_level", "encrypt", "Nothing is said in the clear but STARTTLS (RFC 3207)."
    )
    login = Parameter(
        "smtpd_relay_restrictions",
        "$gatepost_policy, permit_sasl_authenticated, reject",
        "Nobody without a login gets past, whatever the policy service answers.",
    )
    login_at_data = Parameter(
        "smtpd_data_restrictions",
        "$gatepost_policy, permit_sasl_authenticated, reject",
        "The same at DATA, for the recipients that smtpd accepts without asking anybody.",
    )
    wrapped = Parameter("smtpd_tls_wrappermode", "yes", "TLS from the first byte (RFC 8314).")
    submission = (limit, encrypt, login, login_at_data)
    return [
        Service("smtp", "mx", (limit,), "Port 25: submission after a login, and the bounce domains' mail."),
        Service("submission", "submission", submission, "Port 587: submission (RFC 6409)."),
        Service("2525", "submission", submission, "Port 2525: submission where 25 and 587 are blocked."),
        Service(
            "submissions", "submissions", (*submission, wrapped), "Port 465: submission over TLS (RFC 8314)."
        ),
    ]


def endpoint(listen: str, queue_directory: Path) -> str:
    """Return a daemon's ``listen`` setting as Postfix names it.

    A UNIX socket below the queue directory becomes relative to it, so that the name is
    good for a chrooted smtpd too.
    """
    kind, _, address = listen.partition(":")
    if kind == "unix" and Path(address).is_relative_to(queue_directory):
        return f"unix:{Path(address).relative_to(queue_directory)}"
    return listen


_Rows = Iterator[tuple[str, str, str]]


def _general(settings: Settings) -> _Rows:
    limit = settings.postfix.message_size_limit
    yield (
        "compatibility_level",
        "3.6",
        "Postfix's defaults as of 3.6; without it, its oldest ones hold (no SMTPUTF8, chroot by default).",
    )
    if settings.postfix.hostname:
        yield "myhostname", settings.postfix.hostname, "The name in the greeting, and in Received."
    yield (
        "enable_long_queue_ids",
        "yes",
        "Short queue ids recur within days; message records and logs are matched by them.",
    )
    yield (
        "message_size_limit",
        str(queue_size_limit(settings)),
        f"Holds for the queue file after edits: head-room above the {limit} bytes that a client may send, "
        "so that no edit ends in a 552.",
    )
    yield "mailbox_size_limit", "0", "local(8) refuses to start when it is below message_size_limit."
    yield "virtual_mailbox_limit", "0", "virtual(8) refuses to start when it is below message_size_limit."


def _tls(settings: Settings) -> _Rows:
    yield "smtpd_tls_security_level", "may", "STARTTLS on offer; ports for submission demand it in master.cf."
    yield "smtpd_tls_cert_file", str(settings.postfix.tls_certificate_file), "The server's certificate chain."
    yield "smtpd_tls_key_file", str(settings.postfix.tls_key_file), "Its private key."
    yield "smtpd_tls_protocols", ">=TLSv1.2", "RFC 8996 withdraws TLS 1.0 and 1.1."
    yield "smtpd_tls_mandatory_protocols", ">=TLSv1.2", "The same where TLS is demanded."
    yield "smtpd_tls_auth_only", "yes", "AUTH neither on offer nor accepted before TLS."
    yield "smtpd_tls_loglevel", "1", "One line a handshake: protocol and cipher."


def _login(settings: Settings) -> _Rows:
    socket = endpoint(settings.sasl.listen, settings.postfix.queue_directory)
    yield "smtpd_sasl_auth_enable", "yes", "Clients log in."
    yield "smtpd_sasl_type", "dovecot", "gatepost-sasl speaks Dovecot's auth protocol."
    yield "smtpd_sasl_path", socket.removeprefix("unix:"), "gatepost-sasl's socket, below queue_directory."
    yield "smtpd_sasl_security_options", "noanonymous", "ANONYMOUS is no login."
    yield "smtpd_sasl_tls_security_options", "noanonymous", "The same inside TLS."
    yield "smtpd_sasl_local_domain", "", "User names reach gatepost-sasl as they were typed."
    yield "smtpd_sasl_authenticated_header", "no", "A Received line must not tell recipients the user name."
    yield (
        "smtpd_client_auth_rate_limit",
        "600",
        "AUTH commands a minute from one address: slows guessing, passes ten a second. Default: no limit.",
    )


def _restrictions(settings: Settings, bounce_domains: Iterable[str]) -> _Rows:
    socket = endpoint(settings.policy.listen, settings.postfix.queue_directory)
    yield (
        "gatepost_policy",
        f"check_policy_service {{ {socket}, timeout=20s, {{ default_action={_POLICY_DOWN} }} }}",
        "Where smtpd asks gatepost-policy, and what it answers when nobody is there. (A name of our own, "
        "used below and in master.cf.)",
    )
    yield "smtpd_delay_reject", "yes", "Questions wait for RCPT, when sender, login and TLS are known."
    yield (
        "smtpd_relay_restrictions",
        "$gatepost_policy, permit_sasl_authenticated, reject_unauth_destination",
        "Policy once a recipient, and before Postfix's own refusal, so that a client without a login reads "
        "530 Authentication required. Relaying is for logged-in clients, and to relay_domains.",
    )
    yield "smtpd_recipient_restrictions", "", "Everything is said in smtpd_relay_restrictions."
    yield (
        "smtpd_data_restrictions",
        "$gatepost_policy",
        "State, sender and recipient, read again at DATA: smtpd takes some recipients without asking.",
    )
    yield (
        "smtpd_command_filter",
        'regexp:{{/^(RCPT[[:space:]]+TO:[[:space:]]*<?)"?postmaster"?(([>[:space:]].*)?)$$/ '
        "$$(1)postmaster@$myhostname$$(2)}}",
        "smtpd takes <postmaster> before any restriction; with a domain it is asked about like any other, "
        "and refused at RCPT. Unusual spellings get past this, and are refused at DATA.",
    )
    yield (
        "smtpd_end_of_data_restrictions",
        "",
        "A refusal here leaves Postfix 3.7's transaction open, and the next message goes out under the "
        "refused one's sender; the milter decides at end of message.",
    )
    yield (
        "relay_domains",
        ", ".join(sorted(set(bounce_domains))),
        "The bounce domains: mail for them comes without a login, when policy finds a valid token.",
    )
    yield "disable_vrfy_command", "yes", "VRFY tells strangers which addresses exist."


def _milter(settings: Settings) -> _Rows:
    socket = endpoint(settings.milter.listen, settings.postfix.queue_directory)
    yield "smtpd_milters", socket, "gatepost-milter, below queue_directory. UNIX: TCP costs 80 ms a message."
    yield "non_smtpd_milters", "", "Mail from this host's own programs has no credential."
    yield "internal_mail_filter_classes", "", "Nor have the bounces that Postfix makes."
    yield (
        "milter_default_action",
        "tempfail",
        "A milter that is down means 4xx; accept would let mail pass unprocessed or half-edited.",
    )
    yield "milter_protocol", "6", "The version that libmilter of Debian 12 and 13 speaks."
    yield (
        "milter_mail_macros",
        "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
        "The milter knows the credential by {auth_authen}.",
    )
    yield "milter_end_of_data_macros", "i", "The queue id is in each log line and message record."
    yield "milter_connect_timeout", "10s", "A UNIX socket answers at once, or not at all."
    yield "milter_command_timeout", "30s", "Until end of message the milter only collects."
    yield (
        "milter_content_timeout",
        "120s",
        "Edits take milliseconds; a client waits for 10 minutes (RFC 5321 section 4.5.3.2.6).",
    )


def _headers(_: Settings) -> _Rows:
    yield (
        "local_header_rewrite_clients",
        "",
        "Header addresses stay as they were sent; the default rewrites those of clients on this host.",
    )
    yield (
        "always_add_missing_headers",
        "yes",
        "Date, Message-Id and From are there before the milter, so that they can be signed.",
    )
    yield (
        "disable_mime_output_conversion",
        "yes",
        "Re-encoding 8-bit parts on the way out would break the signature.",
    )


def _attacks() -> _Rows:
    yield (
        "smtpd_forbid_bare_newline",
        "normalize",
        "SMTP smuggling (CVE-2023-51764): only CR LF . CR LF ends a message.",
    )
    yield "smtpd_forbid_bare_newline_exclusions", "", "For every client; the default leaves out $mynetworks."
    yield "smtpd_forbid_unauth_pipelining", "yes", "Commands sent ahead of their turn end the session."
