"""SASL mechanisms (RFC 4422) as sans-I/O objects, one module each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gatepost_sasl.mechanisms.base import Challenge, Done, Mechanism, MechanismError, Proof, ScramKeys
from gatepost_sasl.mechanisms.login import LoginMechanism
from gatepost_sasl.mechanisms.plain import PlainMechanism

# Those that end with a password; SCRAM-SHA-256 needs keys, and its library, only where it is on offer.
MECHANISMS: Mapping[str, Callable[[], Mechanism]] = MappingProxyType(
    {"PLAIN": PlainMechanism, "LOGIN": LoginMechanism}
)
SCRAM = "SCRAM-SHA-256"

__all__ = [
    "MECHANISMS",
    "SCRAM",
    "Challenge",
    "Done",
    "LoginMechanism",
    "Mechanism",
    "MechanismError",
    "PlainMechanism",
    "Proof",
    "ScramKeys",
]
