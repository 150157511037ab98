"""The two judges of signatures, neither of them ours: dkimpy and opendkim; and keys to sign with."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import dkim

from gatepost_core.keys.dkim_keys import KeyPair, generate, txt_record
from gatepost_milter.dkim.keys import signing_key
from gatepost_milter.dkim.signature import SigningKey

DOMAIN = "example.test"
PAIRS: Mapping[str, KeyPair] = {"r1": generate("rsa"), "e1": generate("ed25519")}
BOTH = ["rsa-sha256", "ed25519-sha256"]
_VERDICT = re.compile(r"\sdkim=(\w+) .*header\.a=(\S+)")


def signing_keys() -> list[SigningKey]:
    return [signing_key(name, pair.private) for name, pair in PAIRS.items()]


def records() -> dict[str, str]:
    """Return the TXT records of ``PAIRS`` by name."""
    return {
        f"{name}._domainkey.{DOMAIN}": txt_record(pair.algorithm, pair.public) for name, pair in PAIRS.items()
    }


def by_dkimpy(raw: bytes, published: Mapping[str, str]) -> list[str]:
    """Return the algorithms of the signatures that hold, from the top, by dkimpy."""

    def lookup(name: bytes, timeout: int = 5) -> bytes | None:
        del timeout
        text = published.get(name.decode("ascii").rstrip("."))
        return None if text is None else text.encode("ascii")

    count = len(re.findall(rb"(?im)^dkim-signature:", raw.partition(b"\r\n\r\n")[0]))
    holding = []
    for index in range(count):
        # A body hash that differs is raised, not returned; so is a header that dkimpy cannot read.
        with suppress(dkim.DKIMException):
            judge = dkim.DKIM(raw)
            if judge.verify(idx=index, dnsfunc=lookup):
                holding.append(judge.signature_fields[b"a"].decode("ascii"))
    return holding


def by_opendkim(raw: bytes, published: Mapping[str, str], folder: Path) -> list[str]:
    """Return the algorithms of the signatures that hold, by the Authentication-Results of opendkim(8)."""
    keys, config, message = folder / "keys.txt", folder / "opendkim.conf", folder / "message.eml"
    keys.write_text("".join(f"{name} {text}\n" for name, text in published.items()))
    config.write_text(f"Mode v\nTestPublicKeys {keys}\n")
    message.write_bytes(raw)
    run = subprocess.run(
        ["opendkim", "-x", str(config), "-t", str(message), "-vvv"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return [algorithm for verdict, algorithm in _VERDICT.findall(run.stdout) if verdict == "pass"]
