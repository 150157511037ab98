"""Wrong variables of the role ``gateway`` are told by name, value and what they may be; nothing changes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "ansible/plugins/filter/setting_faults.py"
TABLE = json.loads((ROOT / "ansible/roles/gateway/files/settings.json").read_text(encoding="utf-8"))

PASSWORD = "hunter2-731731"

# What cannot be used, and what is said; G stands for gateway_settings.
SETTINGS = [
    ([1], "G is a list; expected sections"),
    ("731731", "G is a text; expected sections"),
    ({"sals": {}}, "G.sals: there is no such section; did you mean sasl?"),
    ({"sasl": 3}, "G.sasl is a whole number; expected settings with values"),
    ({"ldap": {"bind_password": 731731}}, "G.ldap.bind_password is a whole number; expected a text"),
    ({"ldap": {"bind_password": {"a": "b"}}}, "G.ldap.bind_password is sections or settings; expected"),
    ({"store": {"url": ["postgresql://a:731731@b/c"]}}, "G.store.url is a list; expected a text"),
    ({"sasl": {"worker": 1}}, "G.sasl.worker: there is no such setting; did you mean workers?"),
    ({"sasl": {"workers": 0}}, "G.sasl.workers is 0; expected a whole number, at least 1, at most"),
    ({"sasl": {"workers": "two"}}, "G.sasl.workers is 'two'; expected a whole number"),
    ({"sasl": {"workers": True}}, "G.sasl.workers is True; expected a whole number"),
    ({"log": {"level": "loud"}}, "G.log.level is 'loud'; expected debug or info or warning or error"),
    ({"sasl": {"backends": "pam"}}, "G.sasl.backends is 'pam'; expected a list, each a text"),
    ({"policy": {"bounce_ports": [70000]}}, "G.policy.bounce_ports is [70000]; expected a list, each"),
    ({"routes": {"x": 3}}, "G.routes.x is a whole number; expected settings with values, such as "),
    ({"routes": {"x": {"hop": ""}}}, "G.routes.x.hop: there is no such setting; did you mean next_hop?"),
    ({"routes": {"x": {"tls": "maybe"}}}, "G.routes.x.tls is 'maybe'; expected none or may or encrypt"),
    ({"sasl": {"failure_delay": None}}, "G.sasl.failure_delay is None; expected a number, at least 0"),
]  # fmt: skip

# A variable, a value that cannot be used, and what the play says.
VARIABLES: list[tuple[str, Any, str]] = [
    ("gateway_state", "gone", "value of gateway_state must be one of: present, absent, got: gone"),
    (
        "gateway_wheelhouse",
        "/nowhere",
        'gateway_wheelhouse is "/nowhere"; expected a folder on the control node',
    ),
    ("gateway_keep_releases", 1, "gateway_keep_releases is 1; expected 2 or more"),
    ("gateway_memory_max", "lots", 'gateway_memory_max is "lots"; expected nothing, or a size such as 512M'),
    ("gateway_drain_seconds", 9999, "gateway_drain_seconds is 9999; expected 0 to 600 seconds"),
    ("gateway_firewall", "ufw", "value of gateway_firewall must be one of: none, nftables, got: ufw"),
    ("gateway_firewall_ports", [0], "gateway_firewall_ports is [0]; expected port numbers from 1 to 65535"),
    ("gateway_daemons", [{"unit": "other", "settings": "sasl"}], "expected unit gatepost-NAME"),
    (
        "gateway_daemons",
        [{"unit": "gatepost-sasl"}],
        "missing required arguments: settings found in gateway_daemons",
    ),
    (
        "gateway_domains",
        [{"name": "a.example"}],
        "missing required arguments: account found in gateway_domains",
    ),
    (
        "gateway_settings",
        {"sasl": {"workers": 0}},
        "gateway_settings.sasl.workers is 0; expected a whole number",
    ),
    (
        "gateway_settings",
        {"ldap": {"bind_password": PASSWORD}},
        "gateway_settings.ldap holds bind_password; expected the",
    ),
    (
        "gateway_settings",
        {"ldap": {"bind_password": [PASSWORD]}},
        "gateway_settings.ldap.bind_password is a list",
    ),
    ("gateway_settings", {"ldap": [PASSWORD]}, "gateway_settings.ldap is a list"),
    ("gateway_settings", {"ldap": {"bind_pasword": PASSWORD}}, "did you mean bind_password?"),
    ("gateway_secrets", {"../up": PASSWORD}, "expected letters, digits"),
    ("gateway_secrets", {"../up": "x"}, 'gateway_secrets has the name "../up"; expected letters, digits'),
    ("gateway_version", "9.9", 'gateway_version is "9.9"; expected "0.1.0", which the wheelhouse'),
]


def setting_faults(settings: Any) -> list[str]:
    spec = importlib.util.spec_from_file_location("setting_faults", PLUGIN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    faults: list[str] = module.FilterModule().filters()["setting_faults"](settings, TABLE)
    return faults


@pytest.mark.parametrize(("settings", "said"), SETTINGS, ids=[said[:60] for _, said in SETTINGS])
def test_a_wrong_setting_is_told(settings: Any, said: str) -> None:
    (fault,) = setting_faults(settings)
    assert fault.replace("gateway_settings", "G").startswith(said)


def test_settings_as_the_documentation_has_them_pass() -> None:
    settings = {
        "sasl": {"backends": ["store", "ldap"], "store_names": ["gp*"], "workers": 4, "failure_delay": 1},
        "ldap": {"bind_password_file": "/etc/gatepost/secrets/ldap", "tls": "none", "verify": False},
        "store": {"url": "sqlite:////var/lib/gatepost/directory.db"},
    }
    assert setting_faults(settings) == []


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the role said to each of the wrong variables: one play, a host of this inventory for each."""
    folder = tmp_path_factory.mktemp("variables")
    collections = folder / "collections" / "ansible_collections" / "gatepost"
    collections.mkdir(parents=True)
    (collections / "gatepost").symlink_to(ROOT / "ansible")
    for release in ("bookworm", "trixie"):
        (folder / "wheels" / release).mkdir(parents=True)
        (folder / "wheels" / release / "requirements.txt").write_text("gatepost==0.1.0 --hash=sha256:00\n")
    hosts = {
        f"h{at}": {"gateway_wheelhouse": str(folder / "wheels"), name: value}
        for at, (name, value, _) in enumerate(VARIABLES)
    }
    inventory = {
        "all": {
            "hosts": hosts,
            "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable},
        }
    }
    (folder / "inventory.json").write_text(json.dumps(inventory))
    # Check mode: were a variable let through, the play would go on to this machine.
    play = {"name": "Validate", "hosts": "all", "gather_facts": False, "tasks": [FACTS, ROLE, REACHED]}
    (folder / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "--check", "-i", "inventory.json", "play.yml"],
        cwd=folder,
        env=os.environ
        | {
            "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "UNEXPECTED" not in done.stdout
    said: dict[str, str] = {}
    for line in done.stdout.splitlines():
        host, found, text = line.removeprefix("fatal: [").removeprefix("failed: [").partition("]")
        if found and host in hosts and line.startswith(("fatal", "failed")):
            said[host] = said.get(host, "") + text
    (folder / "said.txt").write_text(done.stdout + done.stderr)
    said["everything"] = done.stdout + done.stderr
    said["reached"] = str(done.stdout.count("variables were let through"))
    return said


FACTS = {
    "name": "A Debian host",
    "ansible.builtin.set_fact": {
        "ansible_facts": {"distribution": "Debian", "distribution_release": "bookworm"},
    },
}
ROLE = {"name": "Role", "ansible.builtin.import_role": {"name": "gatepost.gatepost.gateway"}}
REACHED = {"name": "Reached", "ansible.builtin.debug": {"msg": "variables were let through"}}


@pytest.mark.parametrize(
    "at", range(len(VARIABLES)), ids=[f"{name}-{said[:40]}" for name, _, said in VARIABLES]
)
def test_a_wrong_variable_stops_the_play(played: dict[str, str], at: int) -> None:
    text = played.get(f"h{at}", "").replace('\\"', '"')
    assert VARIABLES[at][2] in text
    assert played["reached"] == "0"


def test_a_password_in_the_wrong_place_or_of_the_wrong_type_is_not_printed(played: dict[str, str]) -> None:
    assert "731731" not in played["everything"]


def test_a_diff_of_settings_shows_nothing_of_them(tmp_path: Path) -> None:
    tasks = yaml.safe_load((ROOT / "ansible/roles/gateway/tasks/change.yml").read_text(encoding="utf-8"))
    (write,) = [
        task
        for block in tasks
        for task in block.get("block", [])
        if task.get("ansible.builtin.template", {}).get("src") == "gatepost.toml.j2"
    ]
    owner = {name: os.getuid() if name == "owner" else os.getgid() for name in ("owner", "group")}
    write["ansible.builtin.template"] |= owner | {
        "dest": str(tmp_path / "gatepost.toml"),
        "validate": "true %s",
    }
    write["ansible.builtin.template"]["src"] = str(ROOT / "ansible/roles/gateway/templates/gatepost.toml.j2")
    play = {
        "name": "Write",
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {
            "gateway_settings_written_out": {"ldap": {"bind_password": PASSWORD}},
            "ansible_python_interpreter": sys.executable,
        },
        "tasks": [write],
    }
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible-playbook"),
            "--diff",
            "-i",
            "localhost,",
            "-c",
            "local",
            "play.yml",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert PASSWORD in (tmp_path / "gatepost.toml").read_text(), done.stdout + done.stderr
    assert "731731" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", sorted((ROOT / "ansible").glob("roles/*/tasks/*.yml")), ids=lambda path: path.stem
)
def test_what_writes_settings_or_secrets_says_that_nothing_of_it_is_shown(path: Path) -> None:
    for task in every_task(yaml.safe_load(path.read_text(encoding="utf-8"))):
        written = task.get("ansible.builtin.template") or task.get("ansible.builtin.copy") or {}
        place = str(written.get("dest", ""))
        if "gatepost.toml" in place or "/secrets/" in place:
            assert task.get("no_log") is True or task.get("diff") is False, task["name"]


def every_task(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for task in tasks:
        yield task
        for part in ("block", "rescue", "always"):
            yield from every_task(task.get(part, []))


def test_a_release_that_no_wheelhouse_can_be_made_for_is_refused(tmp_path: Path) -> None:
    command: list[str | Path] = [ROOT / "script" / "wheelhouse", "--release", "sid", "--output", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stderr == "wheelhouse: --release sid: expected bookworm (Debian 12) or trixie (Debian 13)\n"


def test_what_is_generated_in_the_collection_is_what_its_sources_say() -> None:
    command: list[str | Path] = [ROOT / "script" / "roles-docs", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
