"""What a main.cf may say for other mail and must not reach our ports, each as an option that answers it.

smtpd(8) and cleanup(8) take any parameter as an option of theirs in master.cf, so what a host made by hand
says for its own port 25 ends at ours: the value here is Postfix's default, unless the reason says otherwise.
Which parameters these programs read: their manual pages, section CONFIGURATION PARAMETERS; every one of
them is here, in ``subjects`` or in ``shared``, or left to the host for a reason (a test holds that against
the Postfix installed). Names that Postfix 3.7 does not know are left out: postconf(1) would remark on them.
"""

from __future__ import annotations

from gatepost_core.postfix.parts import Rows

NOT_OURS = "What main.cf says is for this host's other mail."
_LEGACY = "smtpd_tls_chain_files says it; two that name certificates are a warning at each connection."
_FORGIVING = "Programs that send do not all keep to the letter; what harms is refused elsewhere."


def smtpd() -> Rows:
    """smtpd(8): what would refuse, slow down, rewrite or reroute the mail of logged-in clients."""
    yield from _restrictions()
    yield from _detours()
    yield from _trust()
    yield from _greeting()
    yield from _limits()


def _restrictions() -> Rows:
    for name in ("smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions"):
        yield name, "", NOT_OURS
    yield "smtpd_reject_unlisted_sender", "no", "A sender need not have a mailbox here; policy says who may."
    yield "smtpd_reject_unlisted_recipient", "yes", "Who has no mailbox here is refused, not bounced to."
    yield "strict_rfc821_envelopes", "no", _FORGIVING
    yield "strict_smtputf8", "no", _FORGIVING
    yield "soft_bounce", "no", "A refusal for good must not become one to try again for days."
    yield "non_fqdn_reject_code", "504", "The same reply on every host."
    yield "allow_untrusted_routing", "no", "user@elsewhere@here must not pass as mail for this host."
    yield "smtpd_reject_footer", "", "What the host adds to its refusals is not for customers."
    yield "smtpd_reject_footer_maps", "", "Nor in place of a text that says what to do."
    yield "notify_classes", "resource, software", "Transcripts of customers' sessions are nobody's mail."


def _detours() -> Rows:
    yield "smtpd_milter_maps", "", "It would switch the milters off for some clients."
    yield "milter_macro_defaults", "", "It could tell the milter a login that there was not."
    yield "receive_override_options", "", "no_milters in it would bypass the milter."
    yield "content_filter", "", "A filter after the queue would change signed mail and hand it in again."
    yield "smtpd_proxy_filter", "", "A proxy in front of the queue would take the milter's place."


def _trust() -> Rows:
    yield "smtpd_upstream_proxy_protocol", "", "Clients connect directly."
    yield "smtpd_authorized_xclient_hosts", "", "XCLIENT would let a host log in as anybody."
    yield "smtpd_authorized_xforward_hosts", "", "Nor may a host speak of another's address."
    yield "smtpd_authorized_verp_clients", "", "XVERP would make senders that nobody asked about."
    yield "smtpd_tls_req_ccert", "no", "Clients log in by password; a certificate of theirs is not asked for."
    yield "smtpd_tls_ask_ccert", "no", "The same."
    yield "tls_server_sni_maps", "", "One certificate for every name that a client asks for."
    for kind in ("", "d", "ec"):
        yield f"smtpd_tls_{kind}cert_file", "", _LEGACY
        yield f"smtpd_tls_{kind}key_file", "", _LEGACY


def _greeting() -> Rows:
    yield "smtpd_discard_ehlo_keyword_address_maps", "", "The same is on offer to every client."
    yield "smtpd_sasl_exceptions_networks", "", "AUTH is on offer to every client."
    yield "smtpd_sasl_mechanism_filter", "!external, static:rest", "gatepost-sasl says which mechanisms."
    yield "smtpd_sasl_service", "smtp", "The name under which gatepost-sasl is asked."
    yield "broken_sasl_auth_clients", "no", "AUTH in the form of RFC 4954 alone."
    yield "smtpd_noop_commands", "", "No command of SMTP is taken for nothing."


def _limits() -> Rows:
    for what in ("connection", "message", "recipient", "new_tls_session"):
        yield f"smtpd_client_{what}_rate_limit", "0", "Made for strangers; a customer's limits are policy's."
    yield "smtpd_client_connection_count_limit", "50", "Sessions of one address at a time, Postfix's default."
    yield (
        "smtpd_recipient_limit",
        "1000",
        "Recipients of a message, Postfix's default.",
    )
    yield "smtpd_recipient_overshoot_limit", "1000", "How many more are answered with 452."
    yield "smtpd_soft_error_limit", "10", "Refusals after which replies slow down, Postfix's default."
    yield "smtpd_hard_error_limit", "${stress?{1}:{20}}", "Refusals after which the session ends, likewise."
    yield "smtpd_junk_command_limit", "${stress?{1}:{100}}", "NOOP, RSET and the like, likewise."
    yield "smtpd_error_sleep_time", "1s", "How long it waits then, likewise."


def cleanup() -> Rows:
    """cleanup(8): what would rewrite senders, refuse or change what is in a message.

    Recipients stay the host's: its aliases say who has a mailbox here, whoever writes to them.
    """
    yield "remote_header_rewrite_domain", "", "Header addresses stay as they were sent."
    yield "sender_canonical_maps", "", "A customer's sender is what policy let pass (postsrsd rewrites it)."
    yield "canonical_classes", "envelope_recipient", "The host's map says who receives, not who sends."
    yield "recipient_canonical_classes", "envelope_recipient", "Nor what stands in a message."
    yield "masquerade_domains", "", "Nor is a customer's domain cut short."
    for name in ("mime_header_checks", "nested_header_checks", "body_checks", "milter_header_checks"):
        yield name, "", NOT_OURS
    yield "message_reject_characters", "", "A message is not refused for a NUL."
    yield "message_strip_characters", "", "Nor changed for one."
    yield "message_drop_headers", "bcc, content-length, resent-bcc, return-path", "Others stay."
    yield "header_size_limit", "102400", "A field is not cut below Postfix's default."
    yield "undisclosed_recipients_header", "", "No field is added that DKIM would have to cover."
    for name in ("7bit_headers", "8bitmime", "8bitmime_body", "mime_encoding_domain"):
        yield f"strict_{name}", "no", _FORGIVING
    yield "disable_mime_input_processing", "no", "The next hop is told of 8-bit text by what cleanup sees."
    yield "soft_bounce", "no", "As for the ports."
    yield "milter_macro_defaults", "", "As for the ports."
