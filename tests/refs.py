"""The reference that a refusal of ours ends in: one pattern for all tests."""

from __future__ import annotations

import re

PATTERN = r" \(ref ([A-HJ-NP-Z2-9]{8})\)"
_END = re.compile(PATTERN + r"\Z")


def reference(reply: str) -> str:
    """Return the reference of a refusal, which has one, at its end and nowhere else."""
    found = _END.search(reply)
    assert found is not None, reply
    assert reply.count("(ref ") == 1, reply
    return found[1]


def bare(reply: str) -> str:
    """Return a refusal of ours without its reference, which it must have."""
    return reply.removesuffix(f" (ref {reference(reply)})")


def plain(reply: str) -> str:
    """Return any reply without the reference that it may have: Postfix's own have none."""
    return _END.sub("", reply)
