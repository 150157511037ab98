"""The key directory: a key for each purpose, and nothing of it open to everybody."""

from __future__ import annotations

from collections.abc import Iterator

from gatepost_cli.checks.base import Context, Finding, fault, good
from gatepost_core.keyring import Keyring, KeyringError


def keys(context: Context) -> Iterator[Finding]:
    """Look at the directory's mode, then read every key."""
    directory = context.settings.keys.directory
    if directory.is_dir():
        mode = directory.stat().st_mode & 0o777
        if mode & 0o007:
            advice = f"run 'chmod 0750 {directory}'"
            yield fault(str(directory), f"mode {mode:04o}", "0750: no access for others", advice)
        else:
            yield good(str(directory), f"mode {mode:04o}")
    try:
        keyring = Keyring.load(directory)
    except KeyringError as error:
        found, _, advice = str(error).partition("; ")
        yield fault(str(directory), found, "a readable key for each purpose, mode 0640", advice)
        return
    count = sum(len(ids) for ids in keyring.keys.values())
    yield good(str(directory), f"{count} keys, for {', '.join(keyring.keys)}")
