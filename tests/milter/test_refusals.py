"""What a refused client hears of gatepost-milter, and what is recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from gatepost_core import spool
from gatepost_core.domain import Credential, Defer, Reject, StoreUnavailable, ids, spooled
from gatepost_core.domain.decision.refusals import Bound
from gatepost_core.settings import SpoolSettings
from gatepost_milter.libmilter.records import Records
from gatepost_milter.libmilter.refusals import Refusals
from gatepost_milter.transaction import Transaction
from tests.core.making import credential
from tests.refs import bare, reference

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
REFUSED = Reject(550, "5.7.1", "From header address <x@y.test> is not allowed for credential gp1", "From")


class World:
    """gp1, and what is recorded."""

    def __init__(self, most: int = 100) -> None:
        self.kept: list[spooled.Refused] = []
        self.down = False
        self.beyond = 0
        self.refusals = Refusals(self, self.record, Bound(most), "n", beyond=self.above, now=lambda: NOW)

    def credential(self, username: str) -> Credential | None:
        if self.down:
            raise StoreUnavailable("gone")
        return credential(id=1, account_id=10, username=username) if username == "gp1" else None

    def record(self, at: datetime, content: bytes) -> None:
        assert at == NOW
        self.kept.append(spooled.read_refused(content))

    def above(self) -> None:
        self.beyond += 1


def transaction(*recipients: bytes, username: str = "gp1") -> Transaction:
    made = Transaction(username, b"<alice@example.test>", 1.5, "IPv6:2001:db8::1")
    for one in recipients or (b"<bob@example.org>",):
        made.add_recipient(one)
    return made


def test_client_and_record_have_the_same_reference() -> None:
    world = World()
    told = world.refusals(transaction(), "4XYZ", REFUSED)
    assert bare(str(told)) == str(REFUSED)
    (kept,) = world.kept
    assert reference(str(told)) == told.reference == kept.reference
    assert (kept.account_id, kept.credential_id, kept.recipient) == (10, 1, "bob@example.org")
    detail = json.loads(kept.detail)
    assert (detail["stage"], detail["reply"], detail["ip"]) == ("END-OF-MESSAGE", str(told), "2001:db8::1")
    assert (detail["sender"], detail["recipients"], detail["queue_id"]) == ("alice@example.test", 1, "4XYZ")


def test_of_several_recipients_none_is_named() -> None:
    world = World()
    world.refusals(transaction(b"<a@x.org>", b"<b@x.org>"), "4XYZ", REFUSED)
    assert (world.kept[0].recipient, json.loads(world.kept[0].detail)["recipients"]) == ("", 2)


def test_each_message_has_its_own_and_a_flood_is_bounded() -> None:
    world = World(most=10)
    heard = {world.refusals(transaction(), f"Q{number}", REFUSED).reference for number in range(1_000)}
    assert (len(heard), len(world.kept), world.beyond) == (1_000, 10, 990)


def test_who_is_not_known_or_cannot_be_looked_up_is_refused_all_the_same() -> None:
    world = World()
    assert world.refusals(transaction(username="gone"), "Q", REFUSED).reference
    world.down = True
    down = Defer(451, "4.3.0", "The mail gateway's store is not available; try again later", "store")
    assert bare(str(world.refusals(transaction(), "Q", down))) == str(down)
    assert world.kept == []


def test_what_the_spool_had_no_room_for_is_not_written_to_it_again() -> None:
    world = World()
    assert world.refusals(transaction(), "Q", Defer(451, "4.3.0", "x", "spool: full")).reference
    assert world.kept == []


def test_a_refusal_is_on_disk_beside_the_records_and_a_spool_that_is_gone_harms_nobody(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "milter"
    folder.mkdir()
    records = Records(folder, SpoolSettings())
    records.refused(NOW, spooled.refused("K7Q2M9XD", (10, 1), "", NOW, {}))
    records.close()
    (batch,) = spool.read(folder, {}, 10)
    (entry,) = batch.entries
    assert (entry.kind, spooled.read_refused(entry.content).reference) == (spooled.REFUSED, "K7Q2M9XD")
    assert ids.time_of(ids.from_bytes(entry.id)) == NOW
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    records.refused(NOW, spooled.refused("K7Q2M9XD", (10, 1), "", NOW, {}))
