"""The units: right in the eyes of systemd, in step with the settings, closed to what is not needed."""

from __future__ import annotations

import configparser
import re
import string
import subprocess
import tomllib
from pathlib import Path

import pytest

from gatepost_core.keys import PURPOSES
from gatepost_core.settings import load
from gatepost_core.store.ingest.streams import STREAMS
from tests.daemon_table import ROWS

ROOT = Path(__file__).parents[1]
# The helper that releases held messages is gatepost-events', and root's.
OF = {"hold": "events"}
DAEMONS = ("events", "sasl", "policy", "milter", "bounces", "tracker", "dashboard")
SYSUSERS = ROOT / "core" / "sysusers.d" / "gatepost.conf"
SETTINGS = load(ROOT / "docs" / "gatepost.toml", environ={})
# Who may connect. Postfix has no business with gatepost-events.
GROUPS = dict.fromkeys(DAEMONS, "postfix") | {"events": "gatepost"}
BOUND = re.compile(r"(?m)^BindReadOnlyPaths=(.*\n)")
# A web server in front connects to these, by TCP on this host.
PUBLIC = {"tracker", "dashboard"}
# systemd-analyze security: 0 (nothing can happen) to 10; 0.4 of ours is what it means to be a service.
# gatepost-events has the network and the log, gatepost-hold some rights of root's.
EXPOSURE_MOST = dict.fromkeys(DAEMONS, 0.5) | {"events": 1.6, "hold": 1.5}


def unit(name: str, kind: str) -> Path:
    return ROOT / OF.get(name, name) / "systemd" / f"gatepost-{name}.{kind}"


def address(stream: str) -> str:
    """Return what a socket unit listens on as the settings write it."""
    return f"unix:{stream}" if stream.startswith("/") else f"inet:{stream}"


class Unit(configparser.RawConfigParser):
    """A unit file; names are as written, one given twice keeps its last value."""

    def __init__(self, path: Path) -> None:
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
        self.optionxform = str  # type: ignore[assignment,method-assign]  # configparser's own way to say so
        self.read_string(path.read_text(encoding="utf-8"))


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    """Return a folder with all units, whose daemons are a program that is there."""
    for name in (*DAEMONS, "hold"):
        for kind in ("socket", "service"):
            text = unit(name, kind).read_text(encoding="utf-8")
            text = re.sub(r"(?m)^(Exec\w+)=/opt/.*", r"\1=/bin/true", text)
            (tmp_path / unit(name, kind).name).write_text(text, encoding="utf-8")
    return tmp_path


def test_systemd_finds_nothing_wrong_with_the_units(copies: Path) -> None:
    command: list[str | Path] = ["systemd-analyze", "verify", "--man=no", *sorted(copies.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_find_a_misspelt_directive(copies: Path) -> None:
    service = copies / "gatepost-sasl.service"
    service.write_text(service.read_text().replace("NoNewPrivileges=", "NoNewPriviledges="))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", service], capture_output=True, text=True, check=False
    )
    assert "NoNewPriviledges" in done.stderr


@pytest.mark.parametrize("name", EXPOSURE_MOST)
def test_a_daemon_is_exposed_no_more_than_its_work_needs(name: str, copies: Path) -> None:
    most = EXPOSURE_MOST[name]
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={int(most * 10)}"]
    service = copies / f"gatepost-{name}.service"
    done = subprocess.run([*command, service], capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= most
    assert done.returncode == 0


@pytest.mark.parametrize("name", DAEMONS)
def test_the_socket_is_where_the_settings_say_and_only_who_needs_it_may_connect(name: str) -> None:
    socket = Unit(unit(name, "socket"))["Socket"]
    assert address(socket["ListenStream"]) == getattr(SETTINGS, name).listen
    if name in PUBLIC:
        assert socket["ListenStream"].startswith("127.0.0.1:")
    else:
        assert (socket["SocketGroup"], socket["SocketMode"]) == (GROUPS[name], "0660")


def test_the_helper_of_root_s_takes_orders_of_one_user_and_reads_nothing_that_he_can_write() -> None:
    socket, service = Unit(unit("hold", "socket"))["Socket"], Unit(unit("hold", "service"))["Service"]
    assert address(socket["ListenStream"]) == SETTINGS.hold.listen
    assert (socket["SocketUser"], socket["SocketGroup"], socket["SocketMode"]) == ("root", "gatepost", "0660")
    assert service["ExecStart"].split()[-2:] == ["--gatepost-events-user", ROWS["events"].user]
    assert service["InaccessiblePaths"] == "-/var/lib/gatepost -/etc/gatepost"
    assert service["ReadWritePaths"] == "-/var/spool/postfix"


@pytest.mark.parametrize("name", [*DAEMONS, "hold"])
def test_the_socket_outlives_whatever_happens_to_the_daemon(name: str) -> None:
    assert Unit(unit(name, "socket"))["Socket"]["TriggerLimitIntervalSec"] == "0"
    service = Unit(unit(name, "service"))
    assert service["Unit"]["StartLimitIntervalSec"] == "0"
    assert service["Unit"]["Requires"] == f"gatepost-{name}.socket"
    assert "StopWhenUnneeded" not in service["Unit"]


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_is_given_the_time_that_its_settings_give_it_to_drain(name: str) -> None:
    service = Unit(unit(name, "service"))["Service"]
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > getattr(SETTINGS, name).drain_seconds + 5
    assert service["Type"] == "notify"


@pytest.mark.parametrize("name", DAEMONS)
def test_a_worker_s_descriptors_are_allowed_without_asking_for_more(name: str) -> None:
    """The system-call filter denies setrlimit(2), which a lower limit would make a worker call."""
    assert int(Unit(unit(name, "service"))["Service"]["LimitNOFILE"]) >= 2000 + 64


@pytest.mark.parametrize("name", DAEMONS)
def test_a_reload_checks_the_settings_first_and_sends_no_signal_that_libmilter_would_stop_on(
    name: str,
) -> None:
    reload = re.findall(r"(?m)^ExecReload=(.*)", unit(name, "service").read_text(encoding="utf-8"))
    assert reload == [
        f"/opt/gatepost/current/bin/gatepost-{name} --check",
        "/bin/sh -c 'kill -TERM $MAINPID'",
    ]
    assert Unit(unit(name, "service"))["Service"]["Restart"] == "always"


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_that_leaks_is_ended_before_the_host_is_out_of_memory(name: str) -> None:
    service = Unit(unit(name, "service"))["Service"]
    assert re.fullmatch(r"\d+[MG]", service["MemoryMax"])
    assert service["OOMPolicy"] == "continue"  # the worker is replaced, the daemon goes on
    assert int(service["WatchdogSec"]) >= 10


def test_the_wheel_ships_every_unit_and_what_systemd_tmpfiles_keeps() -> None:
    shared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"][
        "targets"
    ]["wheel"]["shared-data"]
    units = {folder.relative_to(ROOT).as_posix() for folder in ROOT.glob("*/systemd")}
    assert {source for source, target in shared.items() if target == "share/gatepost/systemd"} == units
    assert shared["core/tmpfiles.d"] == "share/gatepost/tmpfiles.d"
    assert shared["core/sysusers.d"] == "share/gatepost/sysusers.d"
    folders = re.findall(
        r"(?m)^d\s+(\S+)", (ROOT / "core/tmpfiles.d/gatepost.conf").read_text(encoding="utf-8")
    )
    assert str(SETTINGS.images.directory) in folders
    assert str(SETTINGS.keys.directory.parent) in folders
    assert {f"{SETTINGS.spool.directory}/{stream}" for stream in STREAMS} <= set(folders)


def test_what_takes_the_spool_starts_first_and_stops_last_and_nobody_needs_it_to_run() -> None:
    """At shutdown systemd stops in the other direction; while the daemon is down mail goes on."""
    first = Unit(unit("events", "service"))["Unit"]["Before"].split()
    assert {f"gatepost-{name}.service" for name in DAEMONS[1:]} <= set(first)
    for name in DAEMONS[1:]:
        text = unit(name, "service").read_text(encoding="utf-8")
        assert not re.search(r"(?m)^(Requires|Wants|BindsTo)=.*events", text)


def test_the_role_runs_every_daemon_that_takes_the_spool_first() -> None:
    text = (ROOT / "ansible/roles/gateway/defaults/main.yml").read_text(encoding="utf-8")
    daemons = re.findall(r"unit: gatepost-(\w+)\n    socket: (\S+)\n    settings: (\w+)", text)
    assert [name for name, _, _ in daemons] == ["events", "hold", *DAEMONS[1:]]
    for name, socket, section in daemons:
        assert (address(socket), section) == (getattr(SETTINGS, name).listen, name)


@pytest.mark.parametrize("name", DAEMONS)
def test_a_daemon_has_the_user_the_keys_and_the_folders_of_the_table(name: str) -> None:
    """Each is said in its own place: the unit, the users and groups, the daemon, and the documentation."""
    row = ROWS[name]
    service = Unit(unit(name, "service"))["Service"]
    assert (service["User"], service["Group"]) == (row.user, "gatepost")
    members = re.findall(r"(?m)^m (\S+)\s+gatepost-key-(\w+)$", SYSUSERS.read_text(encoding="utf-8"))
    main = (ROOT / name / f"gatepost_{name}" / "main.py").read_text(encoding="utf-8")
    asked = re.search(r"keys=\(([^)]*)\)", main)
    assert set(re.findall(r'"(\w+)"', asked[1] if asked else "")) == row.reads
    if name == "events":
        keys = SETTINGS.keys.directory
        assert service["TemporaryFileSystem"] == f"{keys}:ro"
        shown = re.findall(r"-(/\S+)", "".join(BOUND.findall(unit(name, "service").read_text())))
        assert shown == [f"{keys}/webhook-{letter}.key" for letter in string.ascii_lowercase]
        return
    assert {key for user, key in members if user == row.user} == row.reads
    assert "StateDirectory" not in service  # systemd would give all of it to this daemon's user
    if name == "dashboard":  # SQLite makes files beside the databases; its user can make none in the folder
        assert service["ReadWritePaths"] == "-/var/lib/gatepost"
        assert service["InaccessiblePaths"].split() == [
            f"-/var/lib/gatepost/{part}" for part in ("spool", "bounces", "images")
        ]
        assert row.writes == {"directory.db", "journal.db"}
        return
    places = {one.removeprefix("-/var/lib/gatepost/") for one in service.get("ReadWritePaths", "").split()}
    assert places == row.writes


def test_the_users_and_groups_of_units_and_folders_are_made_and_each_key_has_a_group() -> None:
    users = re.findall(r"(?m)^u (\S+)\s+-:gatepost ", SYSUSERS.read_text(encoding="utf-8"))
    assert set(users) == {row.user for row in ROWS.values()}
    made = set(re.findall(r"(?m)^[gm] (?:\S+\s+)?(gatepost\S*)\s*-?$", SYSUSERS.read_text(encoding="utf-8")))
    assert {f"gatepost-key-{purpose}" for purpose in PURPOSES} <= made
    folders = (ROOT / "core/tmpfiles.d/gatepost.conf").read_text(encoding="utf-8")
    assert set(re.findall(r" (gatepost\S*)\s+-$", folders, re.M)) <= made


def test_the_order_socket_outlives_a_stop_and_knows_whoever_connects() -> None:
    """The kernel tells nobody's user to a daemon in a namespace of users of its own."""
    service = Unit(unit("events", "service"))["Service"]
    assert service["RuntimeDirectoryPreserve"] == "yes"
    assert "PrivateUsers" not in service
