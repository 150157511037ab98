"""Refusals: the reference that ends each reply, what is recorded of one, and what to do about it. Pure.

A client hears ``550 5.7.1 ... (ref K7Q2M9XD)``; the daemon's log line and the event of type ``refused`` have
the same reference.
"""

from gatepost_core.domain.decision.refusals.bound import Bound
from gatepost_core.domain.decision.refusals.references import LENGTH, Refused, found, reference, referred

__all__ = ["LENGTH", "Bound", "Refused", "found", "reference", "referred"]
