"""Parameters by subject, each under the process that reads it (postconf(5), and the programs' sources).

Who reads a parameter decides how narrowly it can be set: what smtpd(8) and cleanup(8) read can be an
option of a service of our own, since smtpd names the cleanup that it hands messages to
(``cleanup_service_name``). smtp(8), local(8) and bounce(8) work for the whole queue.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatepost_core.postfix.parts import Parameter, Rows, Service, endpoint, milters, parameters
from gatepost_core.settings import Settings

CLEANUP = "gatepost-cleanup"
BOUNCES = "gatepost-bounces"
# Head-room in the queue for what edits add to a message: as much again, and a share for small ones.
_HEAD_ROOM = 1_000_000
_NAMED = "reject_non_fqdn_recipient"
_POLICY_DOWN = "451 4.3.0 The policy service is not available; try again later"


def queue_size_limit(settings: Settings) -> int:
    """Return cleanup's message_size_limit in bytes: what a message may have in the queue, after edits."""
    return 2 * settings.postfix.message_size_limit + _HEAD_ROOM


def hostname(settings: Settings) -> Rows:
    """smtpd(8) and cleanup(8): the name in the greeting and in Received."""
    if settings.postfix.hostname:
        yield "myhostname", settings.postfix.hostname, "The name in the greeting, and in Received."


def queue_ids(_: Settings) -> Rows:
    """cleanup(8), qmgr(8), postsuper(1): names of queue files, which all of them must make alike.

    Where cleanup alone makes long names, each start of Postfix renames what is queued to short ones.
    """
    yield (
        "enable_long_queue_ids",
        "yes",
        "Short queue ids recur within days; message records and logs are matched by them.",
    )


def queue(settings: Settings) -> Rows:
    """cleanup(8): sizes of queue files, and fields that every message has."""
    limit = settings.postfix.message_size_limit
    yield (
        "message_size_limit",
        str(queue_size_limit(settings)),
        f"Holds for the queue file after edits: head-room above the {limit} bytes that a client may send, "
        "so that no edit ends in a 552.",
    )
    yield (
        "always_add_missing_headers",
        "yes",
        "Date, Message-Id and From are there before the milter, so that they can be signed.",
    )


def outgoing(_: Settings) -> Rows:
    """smtp(8): what may still happen to a signed message."""
    yield (
        "disable_mime_output_conversion",
        "yes",
        "Re-encoding 8-bit parts on the way out would break the signature.",
    )


def tls(settings: Settings) -> Rows:
    """smtpd(8): TLS without the certificate, which each scope names in its own way."""
    yield "smtpd_tls_security_level", "may", "STARTTLS on offer; ports for submission demand it."
    oldest = f">={settings.postfix.tls_oldest}"
    yield "smtpd_tls_protocols", oldest, "RFC 8996 withdraws TLS 1.0 and 1.1."
    yield "smtpd_tls_mandatory_protocols", oldest, "The same where TLS is demanded."
    yield "smtpd_tls_auth_only", "yes", "AUTH neither on offer nor accepted before TLS."
    yield "smtpd_tls_loglevel", "1", "One line a handshake: protocol and cipher."


def login(settings: Settings) -> Rows:
    """smtpd(8): SASL."""
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


def policy(settings: Settings) -> tuple[str, str, str]:
    """main.cf: where smtpd(8) asks gatepost-policy, under a name of our own."""
    socket = endpoint(settings.policy.listen, settings.postfix.queue_directory)
    return (
        "gatepost_policy",
        f"check_policy_service {{ {socket}, timeout=20s, {{ default_action={_POLICY_DOWN} }} }}",
        "Where smtpd asks gatepost-policy, and what it answers when nobody is there. (A name of our own, "
        "used below and in master.cf.)",
    )


def restrictions(_: Settings) -> Rows:
    """smtpd(8): who may send what to whom; submission's stricter ones are the services' own."""
    yield "smtpd_delay_reject", "yes", "Questions wait for RCPT, when sender, login and TLS are known."
    yield (
        "smtpd_relay_restrictions",
        f"$gatepost_policy, {_NAMED}, permit_sasl_authenticated, reject_unauth_destination",
        "Policy once a recipient, and before Postfix's own refusal, so that a client without a login reads "
        "530 Authentication required. A recipient without a domain would be a user of this host. "
        "Relaying is for logged-in clients, and to relay_domains.",
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
    yield "disable_vrfy_command", "yes", "VRFY tells strangers which addresses exist."
    yield "smtpd_etrn_restrictions", "reject", "ETRN lets strangers start queue runs."
    yield "smtpd_discard_ehlo_keywords", "silent-discard, etrn", "So it is not on offer; all else is."


def milter(settings: Settings) -> Rows:
    """smtpd(8), which hands the milters and these settings on to cleanup(8)."""
    yield (
        "smtpd_milters",
        milters(settings),
        "gatepost-milter, below queue_directory. UNIX: TCP costs 80 ms a message.",
    )
    yield (
        "milter_default_action",
        "tempfail",
        "A milter that is down means 4xx; accept would let mail pass unprocessed or half-edited.",
    )
    yield "milter_protocol", "6", "The version that libmilter of Debian 12 and 13 speaks."
    yield (
        "milter_mail_macros",
        "i {auth_type} {auth_authen} {auth_author} {client_addr} {mail_addr} {mail_host} {mail_mailer}",
        "The milter knows the credential by {auth_authen}, and holds {client_addr} to its networks.",
    )
    yield "milter_end_of_data_macros", "i", "The queue id is in each log line and message record."
    yield "milter_connect_timeout", "10s", "A UNIX socket answers at once, or not at all."
    yield "milter_command_timeout", "30s", "Until end of message the milter only collects."
    yield (
        "milter_content_timeout",
        "120s",
        "Edits take milliseconds; a client waits for 10 minutes (RFC 5321 section 4.5.3.2.6).",
    )


def addresses(_: Settings) -> Rows:
    """smtpd(8), which tells cleanup(8) whether header addresses are a local client's."""
    yield (
        "local_header_rewrite_clients",
        "",
        "Header addresses stay as they were sent; the default rewrites those of clients on this host.",
    )


def attacks(_: Settings) -> Rows:
    """smtpd(8): known attacks on the protocol."""
    yield (
        "smtpd_forbid_bare_newline",
        "normalize",
        "SMTP smuggling (CVE-2023-51764): only CR LF . CR LF ends a message.",
    )
    yield "smtpd_forbid_bare_newline_exclusions", "", "For every client; the default leaves out $mynetworks."
    yield "smtpd_forbid_unauth_pipelining", "yes", "Commands sent ahead of their turn end the session."


def hiding(settings: Settings) -> Rows:
    """main.cf: how cleanup(8) hides the client in the Received line that our smtpd(8) makes."""
    if settings.postfix.hide_client_address:
        yield (
            "gatepost_header_checks",
            r"regexp:{{/^Received: from .*[[:space:]](by $myhostname \(.*)$$/ REPLACE Received: $$1}}",
            "Takes the client's name and address out of our own Received line; a milter never sees that one.",
        )


def client_size(settings: Settings) -> Rows:
    """smtpd(8): the limit that a client is told, smaller than the queue's."""
    yield (
        "message_size_limit",
        str(settings.postfix.message_size_limit),
        "What a client may send; cleanup has the larger limit that edits need.",
    )


def submission(_: Settings) -> Rows:
    """smtpd(8) on a port that is for submission alone."""
    yield "smtpd_tls_security_level", "encrypt", "Nothing is said in the clear but STARTTLS (RFC 3207)."
    yield (
        "smtpd_relay_restrictions",
        f"$gatepost_policy, {_NAMED}, permit_sasl_authenticated, reject",
        "Nobody without a login gets past, whatever the policy service answers.",
    )
    yield (
        "smtpd_data_restrictions",
        "$gatepost_policy, permit_sasl_authenticated, reject",
        "The same at DATA, for the recipients that smtpd accepts without asking anybody.",
    )


def wrapped(_: Settings) -> Rows:
    """smtpd(8) on a port that begins with TLS."""
    yield "smtpd_tls_wrappermode", "yes", "TLS from the first byte (RFC 8314)."


def proxied(settings: Settings, port: int) -> Rows:
    """smtpd(8): who the client is, where a load balancer connects in its place."""
    if port in settings.postfix.proxy_ports:
        yield (
            "smtpd_upstream_proxy_protocol",
            "haproxy",
            "A load balancer connects, and says whose connection it is (PROXY protocol); without that all "
            "clients would have its address, and one guesser would lock out everybody.",
        )


def relay_domains(value: str) -> Parameter:
    """Return what smtpd(8) and trivial-rewrite(8) hold for relay domains, queue-wide: others may be in it."""
    reason = "The bounce domains: mail for them comes without a login, when policy finds a valid token."
    return Parameter("relay_domains", value, reason, "include")


def domain_list(domains: Iterable[str]) -> str:
    """Return bounce domains as a list of Postfix's."""
    return ", ".join(sorted(set(domains)))


def bounce_transport(settings: Settings, bounce_domains: Iterable[str]) -> list[Parameter]:
    """Return what trivial-rewrite(8) and qmgr(8) hold for the bounce domains; nothing without any."""
    domains = sorted(set(bounce_domains))
    if not domains:
        return []
    hop = f"{BOUNCES}:{endpoint(settings.bounces.listen, settings.postfix.queue_directory)}"
    table = ", ".join(f"{domain}={hop}" for domain in domains)
    return [
        Parameter(
            "gatepost_transport",
            f"inline:{{ {table} }}",
            "Mail for the bounce domains goes to gatepost-bounces. (A name of our own, for transport_maps.)",
        ),
        Parameter("transport_maps", "$gatepost_transport", "The bounce domains' transport.", "include"),
        Parameter(
            f"{BOUNCES}_destination_recipient_limit",
            "1",
            "LMTP answers for each recipient by itself (RFC 2033); a report is for one anyway.",
        ),
        Parameter(
            f"{BOUNCES}_destination_concurrency_limit",
            "4",
            "So many messages are read at a time; a flood of them waits in the queue.",
        ),
    ]


def bounce_checks(domains: Iterable[str]) -> list[Parameter]:
    """Return what the host's own smtpd(8) asks about recipients in the bounce domains, and no others.

    At the end of its list, so that all of its own is asked first. A name of our own stands for the check and
    its table, which are two words.
    """
    table = ", ".join(f"{{{domain} = gatepost_bounce}}" for domain in sorted(set(domains)))
    if not table:
        return []
    return [
        Parameter(
            "gatepost_bounce",
            "$gatepost_policy",
            "Asks gatepost-policy. (A name of our own, for the table below.)",
        ),
        Parameter(
            "smtpd_restriction_classes", "gatepost_bounce", "So that a table may name that check.", "include"
        ),
        Parameter(
            "gatepost_bounces",
            f"check_recipient_access inline:{{ {table} }}",
            "Which recipients are asked about: the bounce domains'. (A name of our own, used below.)",
        ),
        Parameter(
            "smtpd_relay_restrictions",
            "$gatepost_bounces",
            "The host's own port 25 takes mail for a bounce domain only with a valid token; about all other "
            "recipients nothing is asked.",
            "include",
        ),
    ]


def bounces() -> Service:
    """Return the lmtp(8) service that the bounce domains' transport is."""
    options = (
        Parameter("lmtp_tls_security_level", "none", "A UNIX socket of this host needs no TLS."),
        Parameter("lmtp_sasl_auth_enable", "no", "Nor a login."),
    )
    return Service(BOUNCES, "transport", options, "Hands the bounce domains' mail to gatepost-bounces.")


def cleanup(rows: Iterable[tuple[str, str, str]]) -> Service:
    """Return a cleanup(8) service of our own, for what it reads and the host's must not."""
    reason = "Takes what the ports above accept, with settings that other mail of this host must not have."
    return Service(CLEANUP, "cleanup", parameters(iter(rows)), reason)
