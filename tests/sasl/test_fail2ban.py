"""Fail2Ban's own tool reads our log with the shipped filter, and Postfix's with the stock one."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.core.running import ROOT, Running, listening
from tests.core.stores import PASSWORD, Store

from .test_daemon import arguments, login

FILTER = ROOT / "sasl/fail2ban/filter.d/gatepost-sasl.conf"
FORGED = 'a" ip=203.0.113.1 b\\'


def addresses(log: Path, rules: str) -> list[str]:
    """Return the addresses that fail2ban-regex takes from a log, in their order."""
    command = ["fail2ban-regex", "--out", "<ip>", str(log), rules]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_refused_logins_are_caught_and_good_ones_and_forged_addresses_are_not(
    form: str, store: Store, tmp_path: Path
) -> None:
    settings = (f"log.format={form}", "sasl.failure_delay=0", "sasl.guess_limit=3")
    with (
        listening(tmp_path / "socket") as listener,
        Running(arguments(store, *settings), tmp_path, listener=listener) as daemon,
    ):
        assert login(tmp_path / "socket", "alice").startswith("OK")
        for username, password in (
            ("alice", "wrong"),
            ("no body", PASSWORD),
            (FORGED, "x"),
            ("off", PASSWORD),
        ):
            assert login(tmp_path / "socket", username, password).startswith("FAIL")
        for _ in range(4):
            login(tmp_path / "socket", "jörg", "wrong")
        log = tmp_path / "log"
        log.write_text(daemon.wait_log("locked out"), encoding="utf-8")
    assert addresses(log, str(FILTER)) == ["198.51.100.7"] * 8


@pytest.mark.parametrize(
    "prefix", ["", "Nov 22 12:00:00 mail gatepost-sasl[4711]: ", "mail gatepost-sasl[4711]: "]
)
def test_lines_are_caught_behind_the_prefix_of_the_journal_and_of_syslog(prefix: str, tmp_path: Path) -> None:
    line = "level=info daemon=sasl event=login result=denied user=x ip=2001:db8::7 mechanism=LOGIN"
    (tmp_path / "log").write_text(f"{prefix}{line}\n{prefix}{line.replace('denied', 'granted')}\n")
    assert addresses(tmp_path / "log", str(FILTER)) == ["2001:db8::7"]


def test_what_is_our_fault_bans_nobody(tmp_path: Path) -> None:
    line = "level=error daemon=sasl event=login result=unavailable user=x ip=2001:db8::7 reason=down"
    (tmp_path / "log").write_text(f"{line}\n")
    assert addresses(tmp_path / "log", str(FILTER)) == []


def test_the_jail_names_the_filter_that_is_shipped(tmp_path: Path) -> None:
    """Fail2Ban's client reads a configuration of Debian's with our two files in it."""
    shutil.copytree("/etc/fail2ban", tmp_path / "fail2ban")
    for kind in ("filter.d", "jail.d"):
        shutil.copy(ROOT / f"sasl/fail2ban/{kind}/gatepost-sasl.conf", tmp_path / "fail2ban" / kind)
    command = ["fail2ban-client", "-c", str(tmp_path / "fail2ban"), "-d"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "['add', 'gatepost-sasl', 'systemd']" in done.stdout, done.stdout + done.stderr
    assert "'addfailregex'" in done.stdout or "multi-set', 'gatepost-sasl', 'addfailregex'" in done.stdout


REMOTE = "/lib/systemd/systemd-journal-remote"
REFUSED = "authentication failed: wrong user name or password, or the credential is disabled or expired"
ENTRIES = [
    (
        "gatepost-sasl.service",
        "gatepost-sasl",
        "level=info daemon=sasl event=login result=denied user=x ip={}",
    ),
    ("postfix@-.service", "postfix/submission/smtpd", "warning: unknown[{}]: SASL PLAIN " + REFUSED),
    (
        "postfix.service",
        "postfix/smtps/smtpd",
        "warning: unknown[{}]: SASL LOGIN " + REFUSED + ", sasl_username=x",
    ),
]


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """A journal as journald writes it: ours, and Postfix's as Debian 12 and 13 name its unit."""
    now, entries = int(time.time()), []
    for at, (unit, name, said) in enumerate(ENTRIES):
        fields = {
            "__REALTIME_TIMESTAMP": now * 1_000_000 + at, "__MONOTONIC_TIMESTAMP": at + 1,
            "_BOOT_ID": "0123456789abcdef" * 2, "_HOSTNAME": "mail", "_SYSTEMD_UNIT": unit,
            "SYSLOG_IDENTIFIER": name, "_PID": 4711, "MESSAGE": said.format(f"203.0.113.{at}"),
        }  # fmt: skip
        entries.append("".join(f"{field}={value}\n" for field, value in fields.items()))
    file = tmp_path / "it.journal"
    subprocess.run(
        [REMOTE, "-o", str(file), "-"], input="\n".join([*entries, ""]), text=True, check=True, timeout=60
    )
    return f"systemd-journal[journalfiles={file}]"


def in_journal(journal: str, rules: str, matches: str = "") -> list[str]:
    """Return the addresses that fail2ban-regex takes from a journal."""
    command = ["fail2ban-regex", "--out", "<ip>", *(["-m", matches] if matches else []), journal, rules]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.split()


def test_our_filter_finds_refused_logins_in_the_journal(journal: str) -> None:
    assert in_journal(journal, str(FILTER)) == ["203.0.113.0"]


def test_the_stock_filter_finds_them_with_the_jail_that_the_page_has(journal: str) -> None:
    """Its own choice of units misses those of Debian 12, whose Fail2Ban is older than 1.1."""
    page = (ROOT / "docs/guessing.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    jail = configparser.ConfigParser()
    jail.read_string(text)
    values = jail["postfix-auth"]
    assert in_journal(journal, values["filter"], values["journalmatch"]) == ["203.0.113.1", "203.0.113.2"]
    said = subprocess.run(["fail2ban-regex", "--version"], check=True, capture_output=True, text=True).stdout
    if tuple(int(part) for part in re.findall(r"\d+", said)[:2]) < (1, 1):
        assert "203.0.113.1" not in in_journal(journal, values["filter"])
