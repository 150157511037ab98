"""What to say to Postfix to hear each of its own replies; `reply` is the row of docs/replies.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# How far a session is: greeted only, EHLO in the clear, EHLO missing on port 465, EHLO inside TLS, logged in.
State = Literal["greeted", "clear", "hidden", "tls", "login"]

_MAIL, _RCPT = "MAIL FROM:<alice@example.test>", "RCPT TO:<bob@example.org>"


@dataclass(frozen=True, slots=True)
class Provocation:
    """Lines to send one after the other; the answer to the last is the reply."""

    reply: str
    state: State
    lines: tuple[str, ...]
    # main.cf parameters that are set for it, on a server whose limits are low.
    main_cf: tuple[tuple[str, str], ...] = ()


def _said(reply: str, state: State, *lines: str, **main_cf: str) -> Provocation:
    return Provocation(reply, state, lines, tuple(main_cf.items()))


# At a gateway as it stands.
PLAIN = (
    _said("500 5.5.2 Error: command not recognized", "tls", "TURN"),
    _said("500 5.5.2 Error: bad syntax", "tls", ""),
    _said("500 5.5.2 Error: bad UTF-8 syntax", "login", _MAIL + " SMTPUTF8", "RCPT TO:<\udcff@example.org>"),
    _said("221 2.7.0 Error: I can break rules, too. Goodbye.", "clear", "GET / HTTP/1.1"),
    _said("501 Syntax: EHLO hostname", "greeted", "EHLO"),
    _said("501 Syntax: HELO hostname", "greeted", "HELO"),
    _said("501 5.5.4 Syntax: STARTTLS", "clear", "STARTTLS now"),
    _said("554 5.5.1 Error: TLS already active", "tls", "STARTTLS"),
    _said("501 5.5.4 Syntax: AUTH mechanism", "tls", "AUTH"),
    _said("503 5.5.1 Error: MAIL transaction in progress", "tls", _MAIL, "AUTH PLAIN AGEAYg=="),
    _said("503 5.5.1 Error: nested MAIL command", "login", _MAIL, _MAIL),
    _said("501 5.5.4 Syntax: MAIL FROM:<address>", "login", "MAIL alice@example.test"),
    _said("501 5.1.7 Bad sender address syntax", "login", "MAIL FROM:<alice@>"),
    _said("501 5.5.4 Bad message size syntax", "login", _MAIL + " SIZE=big"),
    _said("501 5.5.4 Bad RET parameter syntax", "login", _MAIL + " RET=SOME"),
    _said("501 5.5.4 Bad ENVID parameter syntax", "login", _MAIL + " ENVID=+"),
    _said("501 5.5.4 Error: Bad NOTIFY parameter syntax", "login", _MAIL, _RCPT + " NOTIFY=SOON"),
    _said("501 5.5.4 Error: Bad ORCPT parameter syntax", "login", _MAIL, _RCPT + " ORCPT=+"),
    _said("552 5.3.4 Message size exceeds fixed limit", "login", _MAIL + " SIZE=999999999"),
    _said("555 5.5.4 Unsupported option: …", "login", _MAIL + " X=Y"),
    _said("503 5.5.1 Error: need MAIL command", "login", _RCPT),
    _said("501 5.5.4 Syntax: RCPT TO:<address>", "login", _MAIL, "RCPT bob@example.org"),
    _said("501 5.1.3 Bad recipient address syntax", "login", _MAIL, "RCPT TO:<bob@>"),
    _said("503 5.5.1 Error: need RCPT command", "login", "DATA"),
    _said("554 5.5.1 Error: no valid recipients", "login", _MAIL, "DATA"),
    _said("501 5.5.4 Syntax: DATA", "login", _MAIL, _RCPT, "DATA now"),
    _said("501 5.5.4 Syntax: RSET", "login", "RSET now"),
    _said("502 5.5.1 VRFY command is disabled", "login", "VRFY bob"),
    _said("550 5.7.0 Error: insufficient authorization", "login", "XCLIENT ADDR=192.0.2.1"),
    _said("554 5.4.0 Error: too many hops", "login", _MAIL, _RCPT, "DATA", "Received: x\r\n" * 60 + "\r\n."),
    _said("521 5.5.4 Syntax: BDAT count [LAST]", "login", _MAIL, _RCPT, "BDAT"),
    _said("503 5.5.1 Error: DATA after BDAT", "login", _MAIL, _RCPT, "BDAT 3\r\nx", "DATA"),
    _said("551 5.7.1 Null BDAT request", "login", _MAIL, _RCPT, "BDAT 0"),
    _said("551 5.0.0 Discarded … bytes after earlier error", "login", _MAIL, "BDAT 3\r\nx", "BDAT 3\r\nx"),
    _said("554 5.5.0 Error: SMTP protocol synchronization", "greeted", "EHLO a\r\nMAIL FROM:<>"),
)

# At one whose limits are low. Those that count by the minute come last, each with its own count.
LIMITS = {
    "smtpd_client_event_limit_exceptions": "",
    "smtpd_hard_error_limit": "3",
    "smtpd_soft_error_limit": "3",
    "smtpd_recipient_limit": "2",
    "smtpd_timeout": "2s",
}
_NONSENSE = ("NONSENSE",)
LIMITED = (
    _said("421 4.7.0 … Error: too many errors", "login", *_NONSENSE * 4),
    _said(
        "552 5.3.4 Chunk exceeds message size limit", "login", _MAIL, _RCPT,
        "BDAT 60002 LAST\r\n" + "x" * 60_000,
    ),
    _said("452 4.5.3 Error: too many recipients", "login", _MAIL, *(_RCPT,) * 3),
    _said("552 5.3.4 Error: message file too big", "login", _MAIL, _RCPT, "DATA", "x\r\n" * 20_000 + "."),
    _said("421 4.4.2 … Error: timeout exceeded", "login", _MAIL, ""),
    _said("452 4.3.1 Insufficient system storage", "login", _MAIL, queue_minfree="999999999999999"),
    _said("503 5.5.1 Error: send HELO/EHLO first", "hidden", _MAIL, smtpd_helo_required="yes"),
    _said(
        "451 4.3.5 … Server configuration error", "login", _MAIL, _RCPT,
        smtpd_recipient_restrictions="nonsense",
    ),
    _said(
        "451 4.3.5 … Server configuration error", "login", _MAIL, _RCPT,
        smtpd_recipient_restrictions="check_recipient_access texthash:/nowhere",
    ),
    _said(
        "550 5.1.1 … User unknown in local recipient table", "login", _MAIL, "RCPT TO:<bob@own.test>",
        mydestination="own.test", local_recipient_maps="inline:{alice=x}",
    ),
    _said(
        "454 4.7.0 TLS not available due to local problem", "clear", "STARTTLS",
        smtpd_tls_cert_file="/nowhere",
    ),
    _said(
        "421 4.7.0 … Error: too many connections from …", "greeted",
        smtpd_client_connection_rate_limit="1",
    ),
    _said("450 4.7.1 Error: too much mail from …", "login", _MAIL, smtpd_client_message_rate_limit="1"),
    _said(
        "450 4.7.1 Error: too many recipients from …", "login", _MAIL, _RCPT,
        smtpd_client_recipient_rate_limit="1",
    ),
    _said(
        "450 4.7.1 Error: too many AUTH commands from …", "tls", "AUTH PLAIN =",
        smtpd_client_auth_rate_limit="1",
    ),
    _said(
        "454 4.7.0 Error: too many new TLS sessions from …", "clear", "STARTTLS",
        smtpd_client_new_tls_session_rate_limit="1",
    ),
)  # fmt: skip
