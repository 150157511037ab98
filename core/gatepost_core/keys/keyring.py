"""Keys on disk: one directory, one file a key, ``<purpose>-<id>.key``.

A purpose has one or several keys, told apart by a letter; the last in the alphabet makes
new values, all of them check old ones, so a key is rotated by adding a file. Each holds 32
random bytes in base64. Files that others may read are refused with ``KeyringError``.

A daemon reads the keys of the purposes that it needs, and on a host where each purpose has a group of its own
(``gatepost-key-<purpose>``) it can read no others: a key belongs to its purpose's group, which may read it.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gatepost_core.keys.groups import group_of
from gatepost_core.keys.keyed_hash import KeyedHash

# Links and images, unsubscribing, bounces: apart, so that who answers one can forge no other.
# The dashboard opens its users' second factors, and nobody else does.
Purpose = Literal["password", "click", "unsubscribe", "bounce", "seal", "webhook", "totp"]
PURPOSES: tuple[Purpose, ...] = ("password", "click", "unsubscribe", "bounce", "seal", "webhook", "totp")
_IDS = "abcdefghijklmnopqrstuvwxyz"
_SIZE = 32


class KeyringError(Exception):
    """A key is missing, malformed or readable by others; the text names the file and the mend."""


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """Keys of one directory, read once: ``{purpose: {id: 32 bytes}}``; none of a purpose not asked for."""

    keys: dict[Purpose, dict[str, bytes]]
    _hashes: dict[tuple[Purpose, str], KeyedHash] = field(default_factory=dict, init=False, compare=False)

    @classmethod
    def load(cls, directory: Path, purposes: Collection[Purpose] = PURPOSES) -> Keyring:
        """Read the keys of ``purposes``. Raises KeyringError when one has none, or none that can be read."""
        if directory.is_dir() and not os.access(directory, os.R_OK | os.X_OK):
            raise KeyringError(
                f"{directory}: cannot be read by this user; run the command as root, or as the daemons' user"
            )
        keys: dict[Purpose, dict[str, bytes]] = {}
        for purpose in purposes:
            found = {
                path.stem.rpartition("-")[2]: _read(path)
                for path in sorted(directory.glob(f"{purpose}-?.key"))
            }
            if not found:
                raise KeyringError(f"{directory}: no {purpose} key; run 'gatepost store upgrade' to make it")
            keys[purpose] = found
        return cls(keys)

    def current(self, purpose: Purpose) -> tuple[str, bytes]:
        """Return the id and the bytes of the key that makes new values."""
        key_id = max(self.keys[purpose])
        return key_id, self.keys[purpose][key_id]

    def get(self, purpose: Purpose, key_id: str) -> bytes | None:
        """Return the key that a stored value or a token names, None when it is gone."""
        return self.keys[purpose].get(key_id)

    def keyed(self, purpose: Purpose, key_id: str) -> KeyedHash | None:
        """Return HMAC-SHA-256 under a key, None when the key is gone; without an id, the current key."""
        found = self._hashes.get((purpose, key_id))
        key = self.keys[purpose].get(key_id or max(self.keys[purpose])) if found is None else None
        if key is not None:
            found = self._hashes[purpose, key_id] = KeyedHash(key)
        return found


def create_missing(directory: Path) -> list[Path]:
    """Make the directory (0750) and a first key (0640) for each purpose that has none.

    New files have the directory's owner, and their purpose's group (see ``shared``). Returns what was made.
    """
    directory.mkdir(mode=0o750, parents=True, exist_ok=True)
    made = []
    for purpose in PURPOSES:
        if not any(directory.glob(f"{purpose}-?.key")):
            made.append(add(directory, purpose))
    return made


def add(directory: Path, purpose: Purpose) -> Path:
    """Make the next key for a purpose and return its file. Raises KeyringError after 26 of them."""
    used = [path.stem[-1] for path in directory.glob(f"{purpose}-?.key")]
    index = _IDS.index(max(used)) + 1 if used else 0
    if index >= len(_IDS):
        raise KeyringError(
            f"{directory}: all 26 ids of {purpose} keys are used; remove keys that nothing needs"
        )
    path = directory / f"{purpose}-{_IDS[index]}.key"
    owner = directory.stat()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(descriptor, "wb") as file:
        if os.geteuid() == 0:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        group = group_of(f"key-{purpose}", owner.st_uid)
        if group is not None:
            os.fchown(descriptor, -1, group)
        file.write(base64.b64encode(secrets.token_bytes(_SIZE)) + b"\n")
        file.flush()
        os.fsync(descriptor)
    return path


def shared(directory: Path) -> Iterator[tuple[Path, int]]:
    """Yield each key with the number of the group that is to read it, for purposes that have one here."""
    owner = directory.stat().st_uid if directory.exists() else 0
    for purpose in PURPOSES:
        group = group_of(f"key-{purpose}", owner)
        if group is not None:
            yield from ((path, group) for path in sorted(directory.glob(f"{purpose}-?.key")))


def _group_of(path: Path) -> str:
    with suppress(OSError, KeyError):
        return path.group()
    return "that it has"


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o007:
            raise KeyringError(f"{path}: may be read by everybody; run 'chmod 0640 {path}'")
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as error:
        raise KeyringError(
            f"{path}: cannot be read: {error.strerror}; it is for its owner and the group "
            f"{_group_of(path)}: see 'gatepost doctor --only keys'"
        ) from error
    except ValueError as error:
        raise KeyringError(f"{path}: is not base64; restore it from a backup") from error
    if len(key) != _SIZE:
        raise KeyringError(f"{path}: holds {len(key)} bytes, expected {_SIZE}; restore it from a backup")
    return key
