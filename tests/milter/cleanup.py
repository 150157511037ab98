"""How cleanup(8) carries out a milter's header edits: a model of cleanup_milter.c for tests.

The fields that came stand behind Postfix's own Received, which a milter does not see. Fields that it adds are
kept apart (the "append header" pointer) and never found again. A change replaces name and value; one of a
field that is not there adds it. From the first insertion above Received on, that counts as one that came.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatepost_milter.editing.headers import AddHeader, Call, ChangeHeader, Header

RECEIVED = Header(b"Received", b" from client.test by mail.example.test (Postfix)")


class Cleanup:
    """The header of one message in the queue file."""

    def __init__(self, came: Iterable[Header]) -> None:
        self._records = [RECEIVED, *came]
        self._appended: list[Header] = []

    @property
    def headers(self) -> tuple[Header, ...]:
        """All fields in their order, Postfix's own Received among them."""
        return (*self._records, *self._appended)

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
        self._appended.append(Header(name, value))

    def insert(self, index: int, name: bytes, value: bytes) -> None:
        """cleanup_ins_header; 0 is above the first field."""
        if index >= len(self._records):
            self.add(name, value)
        else:
            self._records.insert(index, Header(name, value))

    def change(self, name: bytes, index: int, value: bytes | None) -> None:
        """cleanup_upd_header, and cleanup_del_header for a value that is None or empty."""
        places = [place for place, one in enumerate(self._records) if one.name.lower() == name.lower()]
        places = [place for place in places if place > 0]  # SKIP_ONE_HEADER
        found = len(places) >= index
        if value and found:
            self._records[places[max(index, 1) - 1]] = Header(name, value)
        elif value:
            self.add(name, value)
        elif found:
            del self._records[places[max(index, 1) - 1]]
