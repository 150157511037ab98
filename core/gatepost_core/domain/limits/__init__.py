"""Limits: how much a credential, and an account in all, may send in a time. Pure.

``reading`` says what a limit is and how it is written, ``windows`` which time it counts over, ``charges``
what a message takes of which counters, ``counters`` what has to count them, ``verdicts`` what is answered.
"""

from gatepost_core.domain.limits.charges import Allowance, Charge, Charges, Defaults, with_recipients
from gatepost_core.domain.limits.counters import Bucket, Counters, CountersDamaged, Looking, Reset, Want
from gatepost_core.domain.limits.reading import Kind, Limit, LimitError, Period, limits, read
from gatepost_core.domain.limits.windows import DEFAULT_ZONE

__all__ = [
    "DEFAULT_ZONE",
    "Allowance",
    "Bucket",
    "Charge",
    "Charges",
    "Counters",
    "CountersDamaged",
    "Defaults",
    "Kind",
    "Limit",
    "LimitError",
    "Looking",
    "Period",
    "Reset",
    "Want",
    "limits",
    "read",
    "with_recipients",
]
