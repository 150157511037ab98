"""``gatepost suppression import`` and ``export``: a whole file, or nothing; wrong lines by number."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from gatepost_cli import progress, suppression_files
from gatepost_core.domain import StoreUnavailable
from gatepost_core.domain.suppressing import Reason, Suppression, hashed
from gatepost_core.store import suppressions
from tests.cli.test_suppression import BOB, add, backend, fill, listed

from .command import Gatepost, Result


def imported(gatepost: Gatepost, text: str | bytes, *words: str) -> Result:
    file = gatepost.folder / "list.csv"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return gatepost("suppression", "import", str(file), *words)


def taken(gatepost: Gatepost, text: str, *words: str) -> dict[str, object]:
    result = imported(gatepost, text, "--account", "acme", "--json", *words)
    assert result.code == 0, result.err
    data: dict[str, object] = result.data
    return {name: data[name] for name in ("imported", "known", "lifted", "wrong")}


def counts(imported: int = 0, known: int = 0, lifted: int = 0, wrong: int = 0) -> dict[str, object]:
    return {"imported": imported, "known": known, "lifted": lifted, "wrong": wrong}


def test_an_address_a_line_or_columns_with_a_header_are_taken(gatepost: Gatepost) -> None:
    assert taken(gatepost, "Bob@Example.org\r\n\r\nexample.net\n*.example.com\n") == counts(3)
    table = (
        '\ufeffEmail,Reason,Created,Expires,Note\nanna@example.org,complaint,2026-01-02,2099-01-01,"a, b"\n'
    )
    assert taken(gatepost, table) == counts(1)
    assert sorted(listed(gatepost)) == ["*.example.com", "anna@example.org", BOB, "example.net"]
    (anna,) = gatepost("suppression", "show", "anna@example.org", "--json").data
    assert (anna["reason"], anna["since"], anna["expires_at"], anna["detail"]) == (
        "complaint", "2026-01-02T00:00:00Z", "2099-01-01T00:00:00Z", "a, b",
    )  # fmt: skip


def test_wrong_lines_are_named_by_number_and_nothing_is_imported(gatepost: Gatepost) -> None:
    login = gatepost.add_credential()["username"]
    text = (
        "address,account,credential,tag,reason,since\n"
        f"good@example.org,acme,{login},news,unsubscribe,2026-01-01\n"
        "bad,acme,,,,\n"
        "x@example.org,nobody,,,,\n"
        "x@example.org,acme,gone,,,\n"
        "x@example.org,acme,,news,,\n"
        "x@example.org,acme,,,spam,\n"
        "x@example.org,acme,,,,yesterday\n"
        "x@example.org,acme,,,,2099-01-01\n"
    )
    refused = imported(gatepost, text)
    assert refused.code == 5
    assert "Nothing was imported." in refused.out
    told = refused.err.splitlines()
    for number, said in (
        (3, "'bad' is no address and no domain"),
        (4, "no account 'nobody'"),
        (5, "account acme has no credential 'gone'"),
        (6, "a tag, and no credential"),
        (7, "no reason 'spam'; expected one of bounce, complaint, unsubscribe, manual"),
        (8, "'yesterday' is not a time"),
        (9, "lies in the future"),
    ):
        assert any(line.startswith(f"line {number}: ") and said in line for line in told), (number, told)
    assert listed(gatepost) == []
    partly = imported(gatepost, text, "--skip-wrong", "--json")
    assert (partly.code, partly.data["imported"], partly.data["wrong"]) == (5, 1, 7)
    assert [one["line"] for one in partly.data["wrong_lines"]] == [3, 4, 5, 6, 7, 8, 9]
    (one,) = gatepost("suppression", "list", "--json").data
    assert (one["address"], one["credential"], one["tag"]) == ("good@example.org", login, "news")


def test_very_many_wrong_lines_are_counted(gatepost: Gatepost) -> None:
    refused = imported(gatepost, "address\n" + "bad\n" * 1_000, "--account", "acme")
    assert "and 980 more lines are wrong" in refused.err
    assert len(refused.err.splitlines()) == 21


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"name,street\nx,y\n", "expected a header with a column address, or an address in each line"),
        (b'address\n"open@example.org\n', "line 2: cannot be read as CSV, nor what follows"),
        (b"address\nb\xfcb@example.org\n", "cannot be read as CSV, nor what follows"),
        (b"address\n" + b"x" * 20_000 + b"\n", "a line of more than 10000 characters"),
        (b"address\nx@example.org\n", "no account; name it with --account"),
    ],
)
def test_what_is_no_such_file_is_told_and_nothing_is_imported(
    gatepost: Gatepost, text: bytes, said: str
) -> None:
    refused = imported(gatepost, text)
    assert (refused.code in (2, 5), said in " ".join(refused.err.split())) == (True, True), refused.err
    assert listed(gatepost) == []


def test_columns_that_say_nothing_are_named(gatepost: Gatepost) -> None:
    done = imported(gatepost, "email,colour,size\nx@example.org,red,1\n", "--account", "acme")
    assert (done.code, done.err.strip()) == (0, "columns that are left out: colour, size")


def test_run_again_it_changes_nothing_and_what_was_lifted_since_stays_lifted(gatepost: Gatepost) -> None:
    text = f"address,since\n{BOB},2026-01-01\nanna@example.org,\n"
    assert taken(gatepost, text) == counts(2)
    assert gatepost("suppression", "remove", BOB, "--account", "acme").code == 0
    assert taken(gatepost, text) == counts(0, known=1, lifted=1)
    assert listed(gatepost) == ["anna@example.org"]
    assert taken(gatepost, BOB) == counts(1)  # without a time it is about now


def test_one_that_is_in_a_file_twice_is_one(gatepost: Gatepost) -> None:
    assert taken(gatepost, "bob@example.org\nBOB@example.org\n") == counts(1, known=1)
    assert listed(gatepost) == [BOB]


def test_what_is_exported_can_be_imported_and_is_the_same(gatepost: Gatepost) -> None:
    fill(gatepost, 3, Reason.COMPLAINT)
    login = gatepost.add_credential()["username"]
    add(gatepost, "example.net", "--credential", login, "--tag", "news", "--note", "=HYPERLINK(1)")
    exported = gatepost("suppression", "export").out
    rows = list(csv.reader(io.StringIO(exported)))
    assert tuple(rows[0]) == suppression_files.COLUMNS
    assert rows[1][-1] == "'=HYPERLINK(1)"  # no spreadsheet takes it for a formula
    before = [{**one, "id": "", "event": "", "message": ""} for one in export(gatepost)]
    for one in before:
        gatepost("suppression", "remove", one["address"], "--account", "acme")
    with_new_times = "\n".join(",".join([*row[:5], "", *row[6:]]) for row in rows)
    assert imported(gatepost, with_new_times).code == 0
    after = [{**one, "id": "", "since": None} for one in export(gatepost)]
    key = str
    assert sorted(after, key=key) == sorted(({**one, "since": None} for one in before), key=key)


def export(gatepost: Gatepost, *words: str) -> list[dict[str, str]]:
    data: list[dict[str, str]] = gatepost("suppression", "export", "--json", *words).data
    return data


def test_an_export_can_be_of_an_account_or_a_reason(gatepost: Gatepost) -> None:
    fill(gatepost, 2)
    add(gatepost, BOB)
    assert gatepost("account", "add", "beta").code == 0
    assert len(export(gatepost, "--account", "acme")) == 3
    assert export(gatepost, "--account", "beta") == []
    assert [one["address"] for one in export(gatepost, "--reason", "manual")] == [BOB]


def test_standard_input_is_read_where_a_dash_stands_for_the_file(gatepost: Gatepost) -> None:
    done = gatepost.process("suppression", "import", "-", "--account", "acme", stdin="a@x.org\nb@x.org\n")
    assert (done.code, done.out) == (0, "2 imported.\n"), done.err


def test_a_store_that_fails_half_way_is_told_with_how_far_it_was(
    gatepost: Gatepost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suppression_files, "_BATCH", 2)
    put, calls = suppressions.put, iter(range(10))

    def failing(*values: object) -> object:
        if next(calls) == 1:
            raise StoreUnavailable("disk I/O error")
        return put(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(suppressions, "put", failing)
    text = "".join(f"r{number}@example.org\n" for number in range(5))
    failed = imported(gatepost, text, "--account", "acme")
    assert (failed.code, "of 5 lines 2 were taken, run it again" in failed.err) == (1, True), failed.err
    assert taken(gatepost, text) == counts(3, known=2)


def test_an_address_that_is_forgotten_is_refused_still_and_can_be_lifted(gatepost: Gatepost) -> None:
    add(gatepost, BOB, "--note", "Bob of Bob Street")
    assert gatepost("suppression", "forget", BOB, "--json").code == 2  # nobody can be asked
    assert gatepost("suppression", "forget", BOB, "--yes", "--json").data == {"forgotten": 1}
    assert listed(gatepost) == [hashed(BOB)]
    (shown,) = gatepost("suppression", "show", BOB, "--json").data
    assert (shown["state"], shown["detail"]) == ("in force", "")
    with backend(gatepost).directory(write=True) as connection:
        now = datetime.now(UTC)
        again = Suppression(1, BOB, Reason.BOUNCE, now, detail="550 <bob@example.org>")
        suppressions.put(connection, [again], now)
    (one,) = gatepost("suppression", "list", "--json").data
    assert (one["address"], one["reason"], one["detail"]) == (hashed(BOB), "bounce", "")
    assert gatepost("suppression", "forget", BOB, "--yes").code == 3
    assert imported(gatepost, gatepost("suppression", "export").out).code == 0  # hashes too
    assert gatepost("suppression", "remove", BOB, "--account", "acme").code == 0
    assert listed(gatepost) == []


class Terminal(io.StringIO):
    """Standard error as a terminal."""

    def isatty(self) -> bool:
        return True


def test_at_a_terminal_one_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert list(progress.shown(range(3), "imported", 3)) == [0, 1, 2]
    assert "imported" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
