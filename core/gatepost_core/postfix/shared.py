"""Parameters that the whole queue reads: what main.cf says for other mail holds for submitted mail too.

trivial-rewrite(8), qmgr(8), bounce(8) and smtp(8) ask nobody which port a message came by. Nothing of ours
can keep these apart, so ``gatepost doctor`` names each that is not Postfix's default, with what it does to
submitted mail. Names and meanings: postconf(5) of Postfix 3.7 and later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_COPIES = "a copy of submitted mail goes there as well"
_RECIPIENTS = "recipients of submitted mail are looked up there as well; senders are not"
_SIGNED = "it changes mail on its way out, after it was signed: such a signature no longer matches"
_NOBODY = frozenset({"error", "retry", "discard"})
_LIFETIME = "maximal_queue_lifetime"
_UNITS = {"s": 1 / 3600, "m": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0}  # in hours
_LOOPBACK = frozenset({"loopback-only", "localhost", "127.0.0.1", "::1", "[::1]"})


@dataclass(frozen=True, slots=True)
class Shared:
    """A parameter of main.cf, its usual values, and what any other means for submitted mail."""

    name: str
    effect: str
    usual: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True)
class Looked:
    """What one parameter says, and what that means for submitted mail; ``stops``: it does not arrive."""

    name: str
    value: str
    effect: str
    stops: bool = False


PARAMETERS: tuple[Shared, ...] = (
    *(Shared(name, _COPIES) for name in ("always_bcc", "sender_bcc_maps", "recipient_bcc_maps")),
    *(Shared(name, _RECIPIENTS) for name in ("canonical_maps", "recipient_canonical_maps")),
    *(
        Shared(f"smtp_{name}", _SIGNED)
        for name in (
            "generic_maps",
            "header_checks",
            "mime_header_checks",
            "nested_header_checks",
            "body_checks",
        )
    ),
    Shared("soft_bounce", "what a recipient's server refuses for good is tried again for days", ("no",)),
    Shared("smtputf8_enable", "clients cannot send to or from addresses beyond ASCII", ("yes",)),
    Shared("delay_warning_time", "senders of submitted mail get notices of delay, too", ("0", "0h", "0s")),
    Shared("defer_transports", "submitted mail by these transports waits for 'postqueue -f'"),
    Shared("smtp_line_length_limit", "Gatepost signs what is sent with 998", ("998",)),
)


def names() -> tuple[str, ...]:
    """Return the parameters to ask postconf(1) about."""
    return (*(one.name for one in PARAMETERS), "default_transport", "inet_interfaces", _LIFETIME)


def looked(values: Mapping[str, str], hours_ahead: float = 0.0) -> list[Looked]:
    """Return what reaches submitted mail; ``values`` are main.cf's, expanded.

    ``hours_ahead``: how far ahead a message's time to be sent may be (``hold.hours_ahead``).
    """
    found = [
        Looked(one.name, values[one.name], one.effect)
        for one in PARAMETERS
        if values.get(one.name, one.usual[0]) not in one.usual
    ]
    transport = values.get("default_transport", "smtp")
    if transport.partition(":")[0] in _NOBODY:
        effect = "submitted mail for other hosts comes back at once: this Postfix delivers to itself only"
        found.append(Looked("default_transport", transport, effect, stops=True))
    interfaces = values.get("inet_interfaces", "all")
    if set(interfaces.replace(",", " ").split()) <= _LOOPBACK:
        found.append(Looked("inet_interfaces", interfaces, "clients on other hosts cannot reach the ports"))
    lifetime = values.get(_LIFETIME, "5d")
    if (hours := _hours(lifetime)) is not None and hours < 2 * hours_ahead:
        effect = (
            f"a message that is to be sent {hours_ahead:g} hours later (hold.hours_ahead) has less than that "
            "time again to be delivered in"
        )
        found.append(Looked(_LIFETIME, lifetime, effect))
    return found


def _hours(lasts: str) -> float | None:
    """Return a time as postconf(5) has it, in days without a unit; None for what is none."""
    number, unit = (lasts[:-1], lasts[-1]) if lasts[-1:] in _UNITS else (lasts, "d")
    return int(number) * _UNITS[unit] if number.isascii() and number.isdecimal() else None
