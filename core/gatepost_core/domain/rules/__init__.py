"""What a credential may do, beside how much of it (``limits``): each rule, and what who breaks it hears.

``catalogue`` lists the rules; options of the command, what it shows, and what the store keeps come of it.
``values`` has what a credential is held to; ``asking`` decides, with ``recipients`` and ``hours``, and
``senders`` of who it is; ``patterns`` reads what stands for addresses, ``addresses`` and ``networks`` have
their forms.
"""

from gatepost_core.domain.decision import Reject
from gatepost_core.domain.rules.addresses import (
    UNREADABLE,
    normal_address,
    normal_domain,
    plain_name,
    readable,
)
from gatepost_core.domain.rules.networks import network_allowed, normal_network, within
from gatepost_core.domain.rules.senders import (
    check_envelope_sender,
    check_from_header,
    check_sender_header,
    sender_allowed,
)

TLS_REQUIRED = Reject(530, "5.7.0", "Authentication required; issue STARTTLS, then AUTH", "no TLS")

__all__ = [
    "TLS_REQUIRED",
    "UNREADABLE",
    "check_envelope_sender",
    "check_from_header",
    "check_sender_header",
    "network_allowed",
    "normal_address",
    "normal_domain",
    "normal_network",
    "plain_name",
    "readable",
    "sender_allowed",
    "within",
]
