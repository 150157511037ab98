"""SASL mechanisms (RFC 4422) as sans-I/O objects, one module each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from gatepost_sasl.mechanisms.base import Challenge, Done, Mechanism, MechanismError
from gatepost_sasl.mechanisms.login import Login
from gatepost_sasl.mechanisms.plain import Plain

MECHANISMS: Mapping[str, Callable[[], Mechanism]] = MappingProxyType({"PLAIN": Plain, "LOGIN": Login})

__all__ = ["MECHANISMS", "Challenge", "Done", "Login", "Mechanism", "MechanismError", "Plain"]
