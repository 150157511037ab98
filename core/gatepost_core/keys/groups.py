"""Groups that say who reads a key and who writes a folder, where each daemon has a user of its own."""

from __future__ import annotations

import grp
import pwd
from contextlib import suppress


def group_of(name: str, owner: int) -> int | None:
    """Return the number of group ``gatepost-<name>``; None where user ``owner`` (a number) is not in it.

    So the store of a checkout is left alone on a host that is a gateway as well.
    """
    with suppress(KeyError):
        group = grp.getgrnam(f"gatepost-{name}")
        return group.gr_gid if pwd.getpwuid(owner).pw_name in group.gr_mem else None
    return None
