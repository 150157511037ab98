"""Each daemon of a gateway reads the keys that it needs and no others, and writes what is its own.

What a daemon may do is tried as systemd would start it: its user and groups, and its unit's restrictions. The
table is that of docs/systemd.md.
"""

from __future__ import annotations

import shlex

import pytest

from gatepost_core.keys import PURPOSES
from tests.ansible.test_mail import send_html
from tests.ansible.world import World
from tests.daemon_table import ROWS

DATA = "/var/lib/gatepost"
FILES = ("directory.db", "journal.db")
FOLDERS = (
    ".",
    "keys",
    "images",
    "counters",
    "bounces",
    "spool",
    "spool/bounces",
    "spool/milter",
    "spool/policy",
    "spool/sasl",
    "spool/tracker",
)
SCRIPT = "/usr/local/share/gatepost-probe.sh"
# Of a unit, what is no condition that a process runs under, or goes with the daemon's end.
OF_A_DAEMON = (
    "#", "Description", "Documentation", "Requires", "After", "Before", "StartLimit", "Type", "NotifyAccess",
    "Exec", "Restart=", "RestartSec", "WatchdogSec", "KillMode", "Timeout", "RuntimeDirectory", "WantedBy",
    "Also",
)  # fmt: skip
# Opened for writing, nothing written; a folder gets a file, which goes again.
PROBE = f"""cd {DATA}
for purpose in {" ".join(PURPOSES)}; do
    cat keys/$purpose-?.key >/dev/null 2>&1 && echo "reads $purpose"
done
for file in {" ".join(FILES)}; do
    cat $file >/dev/null 2>&1 && echo "sees $file"
    sh -c "exec 3>>$file" 2>/dev/null && echo "writes $file"
done
for folder in {" ".join(FOLDERS)}; do
    touch $folder/probe 2>/dev/null && rm $folder/probe && echo "writes $folder"
done
ls spool/milter >/dev/null 2>&1 && echo "sees spool/milter"
for file in keys/*.key spool/*/*.segment; do
    sh -c "exec 3>>$file" 2>/dev/null && echo "writes ${{file%/*}}"
done
true
"""


def may(deployment: World, daemon: str) -> dict[str, set[str]]:
    """Return what a daemon reads, sees and writes: asked under the conditions of its unit."""
    host = deployment.gateway
    user = host.run(f"stat -c %U /proc/$(systemctl show -P MainPID gatepost-{daemon})").out.strip()
    assert user == ROWS[daemon].user
    host.put(SCRIPT, PROBE)
    unit = host.run(f"systemctl cat gatepost-{daemon}.service").out
    conditions = [
        f"--property={line}" for line in unit.splitlines() if "=" in line and not line.startswith(OF_A_DAEMON)
    ]
    said = host.run(shlex.join(["systemd-run", "--quiet", "--pipe", "--wait", *conditions, "sh", SCRIPT])).out
    found: dict[str, set[str]] = {"reads": set(), "sees": set(), "writes": set()}
    for line in said.splitlines():
        verb, _, name = line.partition(" ")
        found[verb].add(name)
    return found


def assert_as_the_table_says(deployment: World) -> None:
    for daemon, row in ROWS.items():
        found = may(deployment, daemon)
        assert found["reads"] == row.reads, daemon
        # The tracker's user could by his groups, for the images; his unit lets him not.
        assert found["sees"] == {*FILES, *(["spool/milter"] if daemon in {"events", "milter"} else [])}, (
            daemon
        )
        expected = row.writes | {".", "spool"} if daemon == "events" else row.writes
        assert found["writes"] == expected, daemon


def assert_mail_flows(deployment: World) -> None:
    arrived = deployment.receiver.arrived(send_html(deployment))
    assert 'style="' in arrived.message.get_content()
    assert len(arrived.message.get_all("DKIM-Signature", [])) == 2


def test_each_daemon_reads_its_keys_alone_and_writes_what_is_its_own(deployment: World) -> None:
    assert_as_the_table_says(deployment)


@pytest.mark.parametrize("daemon", ROWS)
def test_its_log_says_nothing_of_what_it_may_not_do(deployment: World, daemon: str) -> None:
    log = deployment.gateway.run(f"journalctl -o cat --no-pager -u gatepost-{daemon}").out
    refused = [line for line in log.splitlines() if "ermission denied" in line or "ead-only file" in line]
    assert refused == []


def test_a_key_that_is_anybody_s_else_is_told_by_doctor_and_given_back(deployment: World) -> None:
    deployment.gateway.run(f"chgrp gatepost {DATA}/keys/seal-a.key")
    told = deployment.gateway.run("gatepost doctor --only keys", check=False).out
    assert "group gatepost, mode 0640" in told
    assert "gatepost-key-seal" in told
    deployment.gateway.run("gatepost store upgrade")
    assert deployment.gateway.run("gatepost doctor --only keys --json").status == 0


def test_what_a_release_with_one_user_left_is_given_to_those_that_need_it(deployment: World) -> None:
    """A milter that could not read its keys would refuse to start, and all mail would get 451."""
    daemons = "gatepost-milter gatepost-policy gatepost-sasl gatepost-events"
    sockets = " ".join(f"{name}.socket" for name in daemons.split())
    deployment.gateway.run(
        f"systemctl stop {sockets} {daemons}; cd {DATA} && chown -R gatepost:gatepost keys images spool"
        " && chmod -R u=rwX,g=rX,g-s,o= keys images spool"
    )
    deployment.control.play("site").passed()
    assert_as_the_table_says(deployment)
    assert_mail_flows(deployment)
    assert deployment.control.play("site").passed().changed == []
