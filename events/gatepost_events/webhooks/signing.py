"""Signatures of webhooks, by Standard Webhooks (https://www.standardwebhooks.com, symmetric signatures v1).

The reference library signs as well, in these few lines, and brings an HTTP client of its own along; the tests
have it verify what is made here.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime

from gatepost_core import __version__

_PREFIX = "whsec_"
_AGENT = f"Gatepost/{__version__}"


def headers(secrets: Iterable[str], number: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """Return the header fields of a request: the event's id, when it is sent, a signature by each secret.

    ``secrets``: as ``whsec_`` and base64. Raises ValueError for another text.
    """
    seconds = str(int(at.timestamp()))
    content = b".".join((number.encode("ascii"), seconds.encode("ascii"), body))
    return {
        "Content-Type": "application/json",
        "User-Agent": _AGENT,
        "webhook-id": number,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(_signature(secret, content) for secret in secrets),
    }


def _signature(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    return "v1," + base64.b64encode(hmac.digest(key, content, "sha256")).decode("ascii")
