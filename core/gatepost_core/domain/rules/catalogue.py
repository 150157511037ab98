"""Every rule that a credential can be held to, once: options, what is shown and what is kept come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from gatepost_core.domain.errors import shown
from gatepost_core.domain.rules import patterns
from gatepost_core.domain.rules.values import RuleError, Rules

NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. ``name`` is its field of ``Rules``, in JSON and where it is kept; ``option`` the command's.

    ``read`` makes its value of texts that people wrote, and raises RuleError. ``title`` and ``free`` (what
    holds without it) are for people.
    """

    name: str
    option: str
    metavar: str
    title: str
    free: str
    help: str
    read: Callable[[Iterable[str]], Any]


_ALL = (
    Rule(
        "senders",
        "--sender",
        "PATTERN",
        "senders",
        "any of its account's, or that nobody registered",  # walls stand between accounts: docs/walls.md
        "Address, domain or *.domain that may stand in envelope and From.",
        patterns.senders,
    ),
    Rule(
        "networks",
        "--network",
        "CIDR",
        "networks",
        "any",
        "Network to log in from, as 192.0.2.0/24, 2001:db8::/32 or one address.",
        patterns.networks,
    ),
    Rule(
        "recipients",
        "--recipient",
        "PATTERN",
        "recipients",
        "any",
        "Address, domain or *.domain that may be sent to, and nobody else.",
        patterns.recipients,
    ),
    Rule(
        "denied_recipients",
        "--deny-recipient",
        "PATTERN",
        "recipients denied",
        "none",
        "Address, domain or *.domain that may not be sent to, whatever --recipient says.",
        patterns.recipients,
    ),
)
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in _ALL})


def read(rule: Rule, texts: Sequence[str]) -> Any:
    """Return a rule's value as people write it; ``none``, which stands alone, lifts it. Raises RuleError."""
    others = [text for text in texts if text.strip().lower() != NONE]
    if len(others) < len(texts):
        if others:
            raise RuleError(f"{NONE} stands alone, and there is {shown(others[0])}")
        return getattr(Rules(), rule.name)
    return rule.read(texts)


def plain(rules: Rules) -> dict[str, Any]:
    """Return rules as plain values for JSON."""
    return {name: list(getattr(rules, name)) for name in RULES}


def kept(values: Mapping[str, Any]) -> Rules:
    """Return the rules that ``plain`` wrote. Raises RuleError for those of a newer release.

    What this one does not know must not be read as no rule at all.
    """
    unknown = values.keys() - RULES.keys()
    if unknown:
        raise RuleError(f"rules that this release does not know: {', '.join(sorted(unknown))}")
    return Rules(**{name: tuple(value) for name, value in values.items()})
