"""How cleanup(8) carries out a milter's header edits: a model of cleanup_milter.c for tests.

Postfix's own Received stands on top, and a milter does not see it: no change counts it, but what is inserted
goes above it. What a milter has added or inserted counts from then on like the fields that came. A change
writes name and value; one of a field that is not there adds it. Held to Postfix by
``tests/integration/test_header_edits.py``.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatepost_milter.editing.headers import AddHeader, Call, ChangeHeader, Header

RECEIVED = Header(b"Received", b" from client.test by mail.example.test (Postfix)")


class Cleanup:
    """The header of one message in the queue file."""

    def __init__(self, came: Iterable[Header]) -> None:
        self._records = [RECEIVED, *came]

    @property
    def headers(self) -> tuple[Header, ...]:
        """All fields in their order, Postfix's own Received among them."""
        return tuple(self._records)

    def carry_out(self, calls: Iterable[Call]) -> tuple[Header, ...]:
        """Do what libmilter's calls ask for, one after another; return all fields."""
        for call in calls:
            if isinstance(call, ChangeHeader):
                self.change(call.name, call.index, call.value)
            elif isinstance(call, AddHeader):
                self.add(call.name, call.value)
            else:
                self.insert(0, call.name, call.value)
        return self.headers

    def add(self, name: bytes, value: bytes) -> None:
        """cleanup_add_header."""
        self._records.append(Header(name, value))

    def insert(self, index: int, name: bytes, value: bytes) -> None:
        """cleanup_ins_header; 0 is above the first field."""
        self._records.insert(index, Header(name, value))

    def change(self, name: bytes, index: int, value: bytes | None) -> None:
        """cleanup_upd_header, and cleanup_del_header for a value that is None or empty."""
        places = [
            place
            for place, one in enumerate(self._records)
            if one.name.lower() == name.lower() and one is not RECEIVED
        ]
        place = places[max(index, 1) - 1] if len(places) >= index else None
        if value and place is not None:
            self._records[place] = Header(name, value)
        elif value:
            self.add(name, value)
        elif place is not None:
            del self._records[place]
