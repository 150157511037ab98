"""What ``gatepost doctor`` says of a release on disk, of units, and of what waits in the queue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatepost_cli.checks.daemons import DAEMONS, service
from gatepost_cli.checks.outgoing import unanswered
from gatepost_cli.checks.release import installed

SILENT = [f"connect to mx.{name}.test[192.0.2.{n}]:25: Connection timed out" for n, name in enumerate("abc")]


def installed_release(folder: Path, version: str) -> Path:
    """Make a release as the roles do: programs below releases/, and a link to it."""
    prefix = folder / "releases" / version
    (prefix / "bin").mkdir(parents=True)
    for name in ("gatepost", *(f"gatepost-{one.name}" for one in DAEMONS)):
        (prefix / "bin" / name).touch(0o755)
    return prefix


def test_a_link_to_another_release_and_programs_open_to_others_are_faults(tmp_path: Path) -> None:
    prefix, other = (installed_release(tmp_path, version) for version in ("1.0", "0.9"))
    link = tmp_path / "current"

    def said() -> list[str]:
        return [one.found for one in installed(prefix) if one.status == "fault"]

    assert said() == ["missing"]
    link.symlink_to(prefix)
    assert said() == []
    (prefix / "bin/gatepost-milter").unlink()
    (prefix / "bin/gatepost-sasl").chmod(0o775)
    assert said() == ["mode 0775", "missing"]
    link.unlink()
    link.symlink_to(other)
    assert said()[0] == f"leads to {other}"
    link.unlink()
    link.symlink_to(tmp_path / "releases" / "gone")
    assert "which is missing" in said()[0]


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"LoadState": "not-found", "ActiveState": "inactive"}, "unit not-found"),
        ({"ActiveState": "failed", "SubState": "failed", "Result": "watchdog"}, "failed (failed), watchdog"),
        ({"ActiveState": "inactive", "SubState": "dead"}, "inactive (dead)"),
        ({"UnitFileState": "disabled"}, "not started at boot"),
        ({"ExecMainStartTimestamp": "@1000"}, "before the release was changed"),
        ({"ExecMainStartTimestamp": "@3000"}, ""),
    ],
)
def test_a_unit_is_judged_by_its_state_and_start(properties: dict[str, str], says: str) -> None:
    usual = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "NRestarts": "0"}
    found = service("sasl", usual | properties, switched=2000.0)
    assert (found.status == "fault") == bool(says)
    assert says in found.found
    assert service("sasl", usual | {"NRestarts": "9"}, switched=0.0).status == "note"


def queued(*reasons: str) -> list[dict[str, Any]]:
    """Messages as postqueue -j has them; one without a reason is on its way."""
    return [{"recipients": [{"address": "a@b.test", "delay_reason": reason}]} for reason in reasons] + [
        {"recipients": [{"address": "a@b.test"}]}
    ]


def test_servers_that_do_not_answer_are_counted_each_once() -> None:
    assert unanswered(queued(*SILENT, *SILENT)) == {"mx.a.test", "mx.b.test", "mx.c.test"}


def test_a_server_that_answered_shows_that_the_port_is_open() -> None:
    greylisted = "host mx.d.test[192.0.2.9] said: 450 4.2.0 greylisted (in reply to RCPT TO command)"
    assert unanswered(queued(*SILENT, greylisted)) == set()


def test_other_faults_say_nothing_of_port_25() -> None:
    others = [
        "connect to mx.a.test[192.0.2.1]:25: Connection refused",
        "connect to relay.test[192.0.2.1]:587: Connection timed out",
        "Host or domain name not found. Name service error for name=a.test type=MX: try again",
        "connect to mx.a.test[2001:db8::1]:25: Network is unreachable",
    ]
    assert unanswered(queued(*others)) == set()
