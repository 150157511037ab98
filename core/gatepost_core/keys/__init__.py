"""Secrets and what is made with them: each key has a purpose, and each daemon reads only what it needs.

``keyring`` reads the keys, ``keyed_hash`` signs with them, ``tokens`` are what links and bounce addresses
carry, ``passwords`` are generated and verified ones, ``argon2id`` those that people chose. ``sealing`` and
``dkim_keys`` load a library for public keys, which only some processes need: so the keyring alone is offered
here.
"""

from gatepost_core.keys.keyring import PURPOSES, Keyring, KeyringError, Purpose

__all__ = ["PURPOSES", "Keyring", "KeyringError", "Purpose"]
