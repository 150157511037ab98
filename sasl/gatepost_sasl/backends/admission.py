"""What a credential's row says about a login whose password is right; the same for every back end."""

from __future__ import annotations

from datetime import datetime

from gatepost_core.domain import Credential, Source
from gatepost_core.domain.logins import STANDS, judge
from gatepost_sasl.authenticator import Denied, Peer


def refusal(credential: Credential, source: Source, peer: Peer, now: datetime) -> Denied | None:
    """Return why the credential may not be used, None when it may."""
    judged = judge(credential, credential.username, now, address=peer.remote_ip, source=source)
    return None if judged is STANDS else Denied(judged.reason)
