"""Where a login comes from; a value that codec, session and back ends share."""

from __future__ import annotations

from typing import NamedTuple


class Peer(NamedTuple):
    """Where a login comes from, as Postfix tells it: IP addresses, the service, TLS or not."""

    remote_ip: str
    local_ip: str = ""
    service: str = "smtp"
    secured: bool = False
