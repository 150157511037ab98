"""Keyrings for tests: a key for every purpose."""

from __future__ import annotations

from gatepost_core.keys import PURPOSES, Keyring


def keyring(letter: str = "\0") -> Keyring:
    """Return a keyring whose keys are made of one letter."""
    return Keyring({purpose: {"a": letter.encode() * 32} for purpose in PURPOSES})


def rotated(old: Keyring) -> Keyring:
    """Return a keyring with a second key for each purpose."""
    return Keyring({purpose: {**keys, "b": b"n" * 32} for purpose, keys in old.keys.items()})
