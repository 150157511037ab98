"""What became of each feature of one message: what acted, what did not and why, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter

# Reasons kept for one feature; they go into a log line.
REASONS_MOST = 5


@dataclass(slots=True)
class Record:
    """What was done, over all parts of one message. ``notes`` are for the log alone."""

    skipped: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    seconds: dict[str, float] = field(default_factory=dict[str, float])
    notes: list[str] = field(default_factory=list[str])

    def skip(self, feature: str, reason: str) -> None:
        """Note why ``feature`` did not act somewhere; nothing if there is no reason."""
        reasons = self.skipped.setdefault(feature, []) if reason else []
        if not reason or reason in reasons:
            return
        if len(reasons) < REASONS_MOST:
            reasons.append(reason)
        elif len(reasons) == REASONS_MOST:
            reasons.append("and more parts")

    def skip_all(self, features: Iterable[str], reason: str) -> None:
        """Note why none of ``features`` acted somewhere."""
        for name in features:
            self.skip(name, reason)

    def spend(self, step: str, since: float) -> None:
        """Add the wall time since ``since`` (of ``perf_counter``) to a step."""
        self.seconds[step] = self.seconds.get(step, 0.0) + perf_counter() - since

    def reasons(self) -> dict[str, str]:
        """Return one sentence for each feature that did not act everywhere."""
        return {feature: "; ".join(why) for feature, why in self.skipped.items()}
