"""Which registered domains signed the message that came back in a complaint (RFC 6376), by dkimpy. Pure.

Keys are those of the directory, so nothing is asked of any DNS. The library's work grows with the square of a
run of blanks and of a signature's length; messages with longer ones, and larger messages, prove nothing.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Final

from gatepost_bounces import mime

MESSAGE_MOST: Final = 256 * 1024
_SIGNATURES_MOST: Final = 3
_SIGNATURE_MOST: Final = 2_000
_HEADER_LINES: Final = 500
_FIELD = re.compile(rb"(?im)^dkim-signature:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*")
_BLANKS = re.compile(rb"[ \t]{100}")
_PART = re.compile(rb"(?im)^content-type:[ \t]*message/rfc822\b")
# What a domain and a selector of its own have as public key: the record's algorithm, and its p= value.
Keys = Callable[[str, str], tuple[str, str] | None]


def returned(mail: mime.Mail, raw: bytes) -> bytes | None:
    """Return the message within a report as it came, with CR LF; None where there is none to be had whole."""
    boundary = mail.header.get_boundary("")
    if not boundary or not boundary.isascii() or len(raw) > 2 * MESSAGE_MOST:
        return None
    for part in (b"\r\n" + raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")).split(
        b"\r\n--" + boundary.encode("ascii")
    )[1 : mime.PARTS_MOST]:
        head, blank, message = part.partition(b"\r\n\r\n")
        if blank and _PART.search(head) is not None:
            return message if 0 < len(message) <= MESSAGE_MOST else None
    return None


def signers(message: bytes, keys: Keys) -> Iterator[str]:
    """Yield domains, in lower case, with verifying signatures of a message that cover From and Message-ID."""
    header = message.partition(b"\r\n\r\n")[0]
    fields = _FIELD.findall(header)[:_SIGNATURES_MOST]
    if not fields or header.count(b"\r\n") > _HEADER_LINES or max(map(len, fields)) > _SIGNATURE_MOST:
        return
    if _BLANKS.search(message) is not None:
        return
    for number in range(len(fields)):
        domain = _signer(message, number, keys)
        if domain:
            yield domain


def _signer(message: bytes, number: int, keys: Keys) -> str:
    import dkim  # noqa: PLC0415 - loaded when the first such complaint comes

    logging.getLogger("dkimpy").disabled = True  # it tells of each key and signature that is wrong

    def record(name: bytes, timeout: int = 0) -> bytes:
        del timeout
        selector, _, domain = name.decode("ascii").rstrip(".").lower().partition("._domainkey.")
        key = keys(domain, selector)
        return b"" if key is None else f"v=DKIM1; k={key[0]}; p={key[1]}".encode("ascii")

    try:
        verifier = dkim.DKIM(message)
        if not verifier.verify(idx=number, dnsfunc=record):
            return ""
        covered = {bytes(name).lower() for name in verifier.include_headers}
        domain = bytes(verifier.domain).decode("ascii").lower()
    except Exception:  # noqa: BLE001 - it raises whatever a message has it raise
        return ""
    return domain if {b"from", b"message-id"} <= covered else ""
