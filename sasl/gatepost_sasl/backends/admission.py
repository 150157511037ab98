"""What a credential's row says about a login whose password is right; the same for every back end."""

from __future__ import annotations

from datetime import datetime

from gatepost_core.domain.model import Credential, Source, State
from gatepost_core.domain.rules import network_allowed
from gatepost_sasl.authenticator import Denied, Peer


def refusal(credential: Credential, source: Source, peer: Peer, now: datetime) -> Denied | None:
    """Return why the credential may not be used, None when it may."""
    if credential.source is not source:
        return Denied(f"the credential belongs to {credential.source.value}")
    if credential.state is not State.ACTIVE:
        return Denied("credential disabled")
    if credential.expires_at is not None and credential.expires_at <= now:
        return Denied("credential expired")
    if credential.rules.networks and not network_allowed(credential.rules.networks, peer.remote_ip):
        return Denied("network not allowed")
    return None
