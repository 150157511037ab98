"""Every rule that a credential can be held to, once: options, what is shown and what is kept come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from gatepost_core.domain.errors import RuleError, shown
from gatepost_core.domain.rules import asking, hours, patterns, places
from gatepost_core.domain.rules.asking import Asked, Refusal, Stage
from gatepost_core.domain.rules.values import Rules
from gatepost_core.domain.texts import size

if TYPE_CHECKING:
    from gatepost_core.domain.model import Credential

NONE: Final = "none"
DEFAULT: Final = "default"
_LIFTED: Final = "lifted"
RECIPIENTS_MOST: Final = 1_000_000
_VERSIONS: Final = ("1.2", "1.3")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule. ``name`` is its field of ``Rules``, in JSON and where it is kept; ``option`` the command's.

    ``read`` makes its value of texts that people wrote (one, unless it is ``many``), and raises RuleError.
    ``title`` and ``free`` (what holds without it) are for people. ``check`` answers at ``stages``; senders
    and networks are asked about where more is known of them (``senders``, ``logins``).
    """

    name: str
    option: str
    metavar: str
    title: str
    free: str
    help: str
    read: Callable[[Iterable[str]], Any]
    stages: tuple[Stage, ...]
    check: Callable[[Credential, Asked], Refusal] | None = None
    many: bool = True


def _one(read: Callable[[str], Any]) -> Callable[[Iterable[str]], Any]:
    """Return what reads the only text of a rule that has one value."""

    def only(texts: Iterable[str]) -> Any:
        (text,) = texts
        return read(text)

    return only


def _count(text: str) -> int:
    found = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    if not 1 <= found <= RECIPIENTS_MOST:
        raise RuleError(f"{shown(text)} is no number of recipients; expected 1 to {RECIPIENTS_MOST}")
    return found


def _size(text: str) -> int:
    found = size(text)
    if not found:
        raise RuleError(f"{shown(text)} is no size; expected bytes, or something like 500K or 20M")
    return found


def _version(text: str) -> str:
    found = text.strip().lower().removeprefix("tlsv").removeprefix("tls").strip() if len(text) < 40 else ""
    if found not in _VERSIONS:
        raise RuleError(f"{shown(text)} is no version of TLS to ask for; expected {' or '.join(_VERSIONS)}")
    return found


_EVERYWHERE: Final = (Stage.RCPT, Stage.DATA, Stage.END)
_ALL = (
    Rule(
        "senders",
        "--sender",
        "PATTERN",
        "senders",
        "any of its account's, or that nobody registered",  # walls stand between accounts: docs/walls.md
        "Address, domain or *.domain that may stand in envelope and From.",
        patterns.senders,
        _EVERYWHERE,
    ),
    Rule(
        "networks",
        "--network",
        "CIDR",
        "networks",
        "any",
        "Network to log in from, as 192.0.2.0/24, 2001:db8::/32 or one address.",
        patterns.networks,
        _EVERYWHERE,
    ),
    Rule(
        "recipients",
        "--recipient",
        "PATTERN",
        "recipients",
        "any",
        "Address, domain or *.domain that may be sent to, and nobody else.",
        patterns.recipients,
        _EVERYWHERE,
        asking.allowed_recipients,
    ),
    Rule(
        "denied_recipients",
        "--deny-recipient",
        "PATTERN",
        "recipients denied",
        "none",
        "Address, domain or *.domain that may not be sent to, whatever --recipient says.",
        patterns.recipients,
        _EVERYWHERE,
        asking.denied_recipients,
    ),
    Rule(
        "max_recipients",
        "--max-recipients",
        "N",
        "recipients a message",
        "as many as Postfix takes",
        "How many recipients a message may have.",
        _one(_count),
        (Stage.DATA, Stage.END),
        asking.max_recipients,
        many=False,
    ),
    Rule(
        "max_size",
        "--max-size",
        "SIZE",
        "bytes a message",
        "as many as Postfix takes",
        "How large a message may be, such as 500K or 20M.",
        _one(_size),
        _EVERYWHERE,
        asking.max_size,
        many=False,
    ),
    Rule(
        "min_tls",
        "--min-tls",
        "VERSION",
        "oldest TLS",
        "what Postfix takes",
        "The oldest version of TLS that a session may have, 1.2 or 1.3.",
        _one(_version),
        (Stage.RCPT, Stage.DATA),
        asking.min_tls,
        many=False,
    ),
    Rule(
        "hours",
        "--hours",
        "SPAN",
        "hours",
        "at any time",
        "When it may send, in its account's time zone: days, times or both, as Mon-Fri 08:00-18:00, Sat,Sun "
        "or 22:00-06:00.",
        hours.read,
        _EVERYWHERE,
        asking.during,
    ),
    Rule(
        "hold_places",
        "--hold-new-places",
        "KIND",
        "new places held",
        "none",
        "Hold what comes from a country, or a network, that it has not sent from before: country or network, "
        "which the settings need a database for.",
        places.kinds,
        (Stage.END,),  # it holds, and refuses nobody: the milter asks where the message is known
    ),
)
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in _ALL})
_FREE: Final = Rules()
# In this order: what a client can mend comes last.
_ORDER: Final = (
    "min_tls", "hours", "recipients", "denied_recipients", "max_recipients", "max_size",
)  # fmt: skip
_CHECKED: Final = {
    stage: tuple([RULES[name] for name in _ORDER if stage in RULES[name].stages]) for stage in Stage
}


def refusal(credential: Credential, asked: Asked) -> Refusal:
    """Return the first refusal of a message by its credential's rules at a stage, or None."""
    for _, found in steps(credential, asked):
        if found is not None:
            return found
    return None


def steps(credential: Credential, asked: Asked) -> Iterator[tuple[Rule, Refusal]]:
    """Yield each rule that holds a credential at a stage, with its refusal or None."""
    rules = credential.rules
    for rule in _CHECKED[asked.stage]:
        if getattr(rules, rule.name) and rule.check is not None:
            yield rule, rule.check(credential, asked)


def read(rule: Rule, texts: Sequence[str]) -> Any:
    """Return a rule's value as people write it, for ``changed``. Raises RuleError.

    ``none`` and ``default``, each of which stands alone, come back as they are.
    """
    words = [text.strip().lower() for text in texts]
    for word in (NONE, DEFAULT):
        if words == [word]:
            return word
        if word in words:
            other = next((text for text in texts if text.strip().lower() != word), word)
            raise RuleError(f"{word} stands alone, and there is {shown(other)}")
    return rule.read(texts)


def changed(rules: Rules, given: Mapping[str, Any]) -> Rules:
    """Return rules with those in place that ``read`` returned, by name.

    ``none`` lifts one, the account's default included; ``default`` leaves it to that.
    """
    lifted = rules.lifted - given.keys() | {name for name, value in given.items() if value == NONE}
    values = {
        name: getattr(_FREE, name) if value in (NONE, DEFAULT) else value for name, value in given.items()
    }
    return replace(rules, **values, lifted=lifted)


def plain(rules: Rules) -> dict[str, Any]:
    """Return rules as plain values for JSON: a list of texts, or one value; None: it is free."""
    return {name: _plain(rule, getattr(rules, name)) for name, rule in RULES.items()}


def stored(rules: Rules) -> dict[str, Any]:
    """Return what ``kept`` reads: those rules alone that there are."""
    found = {name: value for name, value in plain(rules).items() if value}
    return {**found, _LIFTED: sorted(rules.lifted)} if rules.lifted else found


def kept(values: Mapping[str, Any]) -> Rules:
    """Return the rules that ``stored`` wrote. Raises RuleError for those of a newer release.

    What this one does not know must not be read as no rule at all.
    """
    own = {name: value for name, value in values.items() if value and name != _LIFTED}
    unknown = own.keys() - RULES.keys()
    if unknown:
        raise RuleError(f"rules that this release does not know: {', '.join(sorted(unknown))}")
    read_back = {name: _kept(RULES[name], value) for name, value in own.items()}
    return Rules(**read_back, lifted=frozenset(values.get(_LIFTED, ())))


def _plain(rule: Rule, value: Any) -> Any:
    return [str(one) for one in value] if rule.many else value or None


def _kept(rule: Rule, value: Any) -> Any:
    if rule.name == "hours":
        return hours.read(value)
    return tuple(value) if rule.many else value
