"""A message's header fields, edited as a value; what changed is found out once, as libmilter's calls.

A feature takes ``Headers`` and returns others. Each field that came keeps its place however many are
removed, so nobody counts until ``calls`` compares, at the very end. What is not changed is never touched:
Postfix would write it anew. Pure; linear in the number of fields for each operation.

Sources: libmilter's smfi_chgheader, smfi_addheader and smfi_insheader; Postfix's cleanup_milter.c, which
counts fields as they are at that moment, its own Received left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, TypeAlias


class Header(NamedTuple):
    """One header field. ``value`` is raw, its leading space included."""

    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Headers:
    """The fields that a message is to have. Iterating gives them in their order.

    ``came`` are those that it came with. ``kept`` has a place for each of them: the field as it is to be, or
    None where it goes. ``top`` stand above them, ``end`` below. A field keeps its name, as it was spelled.
    """

    came: tuple[Header, ...]
    kept: tuple[Header | None, ...]
    top: tuple[Header, ...] = ()
    end: tuple[Header, ...] = ()

    @classmethod
    def of(cls, came: tuple[Header, ...]) -> Headers:
        """Return the fields of a message as it came."""
        return cls(came, came)

    def __iter__(self) -> Iterator[Header]:
        return chain(self.top, filter(None, self.kept), self.end)

    def edited(self, change: Callable[[Header], bytes | None]) -> Headers:
        """Return the list with each field's value as ``change`` gives it; where that is None, the field goes.

        The value must not be empty: to libmilter such a change is a removal.
        """

        def one(header: Header | None) -> Header | None:
            value = None if header is None else change(header)
            if header is None or value is None:
                return None
            return header if value == header.value else Header(header.name, value)

        return self._each(one)

    def without(self, goes: Callable[[Header], bool]) -> Headers:
        """Return the list without the fields of which ``goes`` is true."""
        return self._each(lambda header: None if header is None or goes(header) else header)

    def _each(self, one: Callable[[Header | None], Header | None]) -> Headers:
        top, kept, end = [tuple(map(one, section)) for section in (self.top, self.kept, self.end)]
        return Headers(self.came, kept, tuple(filter(None, top)), tuple(filter(None, end)))

    def added(self, *headers: Header) -> Headers:
        """Return the list with these fields at its end."""
        return Headers(self.came, self.kept, self.top, self.end + headers)

    def on_top(self, *headers: Header) -> Headers:
        """Return the list with these fields, in this order, above all others, Postfix's Received included."""
        return Headers(self.came, self.kept, headers + self.top, self.end)

    def with_value(self, name: bytes, value: bytes) -> Headers:
        """Return the list with each field of this name at ``value``, or one at the end if there is none."""
        wanted = name.lower()
        if wanted not in self.names():
            return self.added(Header(name, value))
        return self.edited(lambda header: value if header.name.lower() == wanted else header.value)

    def names(self) -> set[bytes]:
        """Return the names of the fields in lower case."""
        return {header.name.lower() for header in self}

    def touched(self) -> set[bytes]:
        """Return the names, in lower case, of the fields that were added, changed or removed."""
        changed = [old for old, new in zip(self.came, self.kept, strict=True) if new != old]
        return {header.name.strip().lower() for header in (*self.top, *changed, *self.end)}


@dataclass(frozen=True, slots=True)
class ChangeHeader:
    """smfi_chgheader: ``index`` counts the fields of this name, from 1; ``value`` None removes."""

    name: bytes
    index: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class AddHeader:
    """smfi_addheader: a field below all others."""

    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class InsertHeader:
    """smfi_insheader with index 0: a field above all others, Postfix's own Received included."""

    name: bytes
    value: bytes


Call: TypeAlias = ChangeHeader | AddHeader | InsertHeader


def calls(headers: Headers | None) -> tuple[Call, ...]:
    """Return libmilter's calls, in their order, that make ``headers`` of the fields that came. None: none.

    From the last field on, so that no removal moves one still to come; what goes on top is last, since it
    would move them all.
    """
    if headers is None:
        return ()
    counts: dict[bytes, int] = {}
    changes: list[Call] = []
    for old, new in zip(headers.came, headers.kept, strict=True):
        key = old.name.lower()
        counts[key] = counts.get(key, 0) + 1
        if new is not old and new != old:
            changes.append(ChangeHeader(old.name, counts[key], None if new is None else new.value))
    changes.reverse()
    added = [AddHeader(*header) for header in headers.end]
    return (*changes, *added, *(InsertHeader(*header) for header in reversed(headers.top)))


def wire_size(headers: Iterable[Header]) -> int:
    """Return the bytes of header fields on the wire, without the empty line after them."""
    pieces = [*chain.from_iterable(headers)]
    return flat_size(b"".join(pieces), len(pieces) // 2)


def flat_size(text: bytes, fields: int) -> int:
    """Return the bytes on the wire of so many fields; ``text`` is their names and values, folded with LF."""
    return len(text) + text.count(b"\n") + 3 * fields  # CR where they are folded; colon and CRLF
