"""What ``gatepost doctor`` says of a release on disk and of units, made up or as systemd tells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatepost_cli.checks.daemons import DAEMONS, service
from gatepost_cli.checks.release import installed


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
