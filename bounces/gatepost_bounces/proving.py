"""Which message of ours a complaint is about that shows no bounce address: by a signature of ours. Pure.

The message that came back has a verifying signature of a registered domain, and Message-ID and recipient of a
message that was accepted for an account that may use that domain: whoever wrote the complaint has had it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gatepost_bounces import mime, signed
from gatepost_bounces.told import address
from gatepost_core.domain import SenderDomain
from gatepost_core.keys.tokens import Origin


class Directory(Protocol):
    """What is needed of the store's reader. Raises StoreUnavailable."""

    def domain(self, name: str) -> SenderDomain | None:
        """Return the registered sender domain of that name."""
        ...


class Sent(Protocol):
    """A message that was accepted. ``author``: the address in From, in lower case."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def credential_id(self) -> int: ...  # noqa: D102
    @property
    def account_id(self) -> int: ...  # noqa: D102
    @property
    def author(self) -> str: ...  # noqa: D102
    @property
    def recipients(self) -> tuple[str, ...]: ...  # noqa: D102


class References(Protocol):
    """What is needed of the journal. Raises StoreUnavailable."""

    def messages(self, message_id: str) -> Sequence[Sent]:
        """Return the newest messages with a Message-ID."""
        ...


class Prover:
    """Called with a report and the recipient that it names ('' for nobody). Raises StoreUnavailable."""

    def __init__(self, directory: Directory, references: References) -> None:
        self._directory = directory
        self._references = references

    def __call__(self, mail: mime.Mail, raw: bytes, recipient: str) -> tuple[Origin, str] | None:
        """Return the message, and its recipient where the report names none and it had one; else None."""
        message = signed.returned(mail, raw)
        if message is None:
            return None
        names = set(signed.signers(message, self._key))
        domains = [one for one in map(self._directory.domain, sorted(names)) if one is not None]
        if not domains:
            return None
        head = message.decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")[0]
        header = mime.blocks(head)[0]
        author = _host(address(mime.value(header, "from")))
        for one in self._references.messages(mime.value(header, "message-id").strip()):
            named = recipient or (one.recipients[0] if len(one.recipients) == 1 else "")
            if _host(one.author) != author or (named and not _among(named, one.recipients)):
                continue
            for signer in domains:
                if _covers(signer.name, author) and signer.usable_by(one.account_id):
                    return Origin(signer.bounce_domain, one.credential_id, one.id), named
        return None

    def _key(self, domain: str, selector: str) -> tuple[str, str] | None:
        """Return the public key that a registered domain has under a selector."""
        found = self._directory.domain(domain)
        for key in found.keys if found is not None else ():
            if key.selector.lower() == selector:
                return key.algorithm, key.public
        return None


def _host(author: str) -> str:
    return author.lower().rpartition("@")[2]


def _covers(domain: str, host: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _among(recipient: str, recipients: tuple[str, ...]) -> bool:
    return recipient.lower() in {one.lower() for one in recipients}
