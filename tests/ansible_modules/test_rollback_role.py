"""What the role ``gateway`` runs and writes on the way back to a release: what that has, and is wanted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from .running import ROOT

ROLE = ROOT / "ansible" / "roles" / "gateway"
# Which release, and whether the dashboard is to run; the release 'older' has none.
HOSTS: dict[str, dict[str, Any]] = {
    "newer-with": {"gateway_rollback_to": "newer", "gatepost_dashboard": True},
    "newer-without": {"gateway_rollback_to": "newer", "gatepost_dashboard": False},
    "older-without": {"gateway_rollback_to": "older", "gatepost_dashboard": False},
}
SEEN = "{{ {'running': gateway_running | map(attribute='unit'), 'units': gateway_unit_files} | to_json }}"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, collections: Path) -> Path:
    """Return a folder with what each host would run (NAME.json) and the settings it would have (NAME.toml).

    Of the role's own tasks those are run that look at the release; none that changes anything.
    """
    folder = tmp_path_factory.mktemp("rollback")
    defaults: dict[str, Any] = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    # Three of the daemons: Ansible takes its time for each.
    some = [
        one for one in defaults["gateway_daemons"] if one["settings"] in {"events", "milter", "dashboard"}
    ]
    defaults["gateway_daemons"] = some
    units = [one["unit"] for one in some]
    for release in ("newer", "older"):
        place = folder / "releases" / release
        (place / "share" / "gatepost" / "systemd").mkdir(parents=True)
        (place / ".wheels").touch()
        for unit in units if release == "newer" else [one for one in units if one != "gatepost-dashboard"]:
            (place / "share" / "gatepost" / "systemd" / f"{unit}.service").touch()
    tasks: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks" / "rollback.yml").read_text())
    looking = tasks[: [task["name"] for task in tasks].index("Note them") + 1]
    written = [
        {
            "name": "See",
            "ansible.builtin.copy": {"content": SEEN, "dest": f"{folder}/{{{{ inventory_hostname }}}}.json"},
        },
        {
            "name": "Write",
            "ansible.builtin.template": {
                "src": str(ROLE / "templates" / "gatepost.toml.j2"),
                "dest": f"{folder}/{{{{ inventory_hostname }}}}.toml",
            },
        },
    ]
    play = {
        "name": "Back",
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROLE / "vars" / "main.yml")],
        "tasks": looking + written,
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": HOSTS, "vars": defaults | own}}))
    # The role's own value of that is no file's to change: this one goes before it.
    given = {"gateway_root": str(folder), "gateway_settings": {"log": {"level": "debug"}}}
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("ansible-playbook"), "-i", "inventory.json", "play.yml"),
            *("--extra-vars", json.dumps(given)),
        ],
        cwd=folder,
        env=os.environ
        | {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_PIPELINING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("host", HOSTS)
def test_a_rollback_runs_the_dashboard_where_it_is_wanted_and_there(seen: Path, host: str) -> None:
    found = json.loads((seen / f"{host}.json").read_text())
    wanted = host == "newer-with"
    assert ("gatepost-dashboard" in found["running"]) is wanted
    assert ("gatepost-dashboard.socket" in found["units"]) is wanted
    others = {unit for unit in found["running"] if unit != "gatepost-dashboard"}
    assert others == {"gatepost-milter"}  # gatepost-events comes last, by itself


@pytest.mark.parametrize("host", HOSTS)
def test_a_rollback_writes_no_section_that_the_release_does_not_know(seen: Path, host: str) -> None:
    written = tomllib.loads((seen / f"{host}.toml").read_text())
    assert written.pop("log") == {"level": "debug"}
    assert written == ({"dashboard": {"listen": ""}} if host == "newer-without" else {})
