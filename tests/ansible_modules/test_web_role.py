"""Wrong variables of the role ``web`` are told by name, value and what they may be; nothing changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CADDY = {"web_server": "caddy", "web_acme_email": "hostmaster@example.org"}
FILES = {"cert_file": __file__, "key_file": __file__}
NGINX = {"web_server": "nginx", "web_certificates": [{"names": ["click.example.org"], **FILES}]}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"web_server": "apache"}, "value of web_server must be one of: none, caddy, nginx, got: apache"),
    ({"web_server": "caddy"}, "web_acme_email: ''; web_tls_mode 'acme' needs an address"),
    ({**CADDY, "web_tls_mode": "files"}, "web_tls_mode is files with web_server caddy"),
    (
        {**CADDY, "web_acme_ca_file": "/nowhere"},
        "web_acme_ca_file: '/nowhere'; expected a file on the control node",
    ),
    ({**CADDY, "web_proxies": ["the balancer"]}, 'web_proxies holds "the balancer"; expected networks'),
    ({"web_server": "nginx"}, "web_certificates is empty"),
    ({**NGINX, "web_tls_mode": "acme"}, "web_tls_mode is acme with web_server nginx"),
    (
        {**NGINX, "web_certificates": [{"names": ["localhost"], **FILES}]},
        'web_certificates holds names ["localhost"]',
    ),
    (
        {**NGINX, "web_certificates": [{"names": ["a.example"], **FILES, "key_file": "/nowhere"}]},
        "key_file '/nowhere'; expected full host names, and two files on the control node",
    ),
    ({**NGINX, "web_certificates": [{"names": ["a.example"]}]}, "missing required arguments: cert_file"),
]
RIGHT: list[dict[str, Any]] = [
    {},
    {"web_server": "none"},
    CADDY,
    {**CADDY, "web_tls_mode": "internal", "web_acme_email": ""},
    NGINX,
]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, collections: Path) -> dict[str, str]:
    """Return what the role said to each host of one play: ``w0`` and so on, ``r0`` and so on."""
    folder = tmp_path_factory.mktemp("web")
    hosts: dict[str, dict[str, Any]] = {f"w{at}": dict(values) for at, (values, _) in enumerate(WRONG)}
    hosts |= {f"r{at}": dict(values) for at, values in enumerate(RIGHT)}
    own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": own}}))
    role = {"name": "gatepost.gatepost.web", "tasks_from": "validate"}
    play = {"name": "Web", "hosts": "all", "gather_facts": False, "strategy": "free"}
    tasks = [{"name": "Role", "ansible.builtin.import_role": role}]
    (folder / "play.yml").write_text(json.dumps([{**play, "tasks": tasks}]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "inventory.json", "play.yml"],
        cwd=folder,
        env=os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = dict.fromkeys(hosts, "")
    for line in done.stdout.replace('\\"', '"').splitlines():
        name, _, text = line.removeprefix("fatal: [").removeprefix("failed: [").partition("]")
        if name in hosts and line.startswith(("fatal", "failed")):
            found[name] += text
    assert "PLAY RECAP" in done.stdout, done.stdout + done.stderr
    return found


@pytest.mark.parametrize("at", range(len(WRONG)), ids=[text[:40] for _, text in WRONG])
def test_a_wrong_variable_stops_the_play_and_is_told(said: dict[str, str], at: int) -> None:
    assert WRONG[at][1] in said[f"w{at}"]


@pytest.mark.parametrize("at", range(len(RIGHT)))
def test_what_the_page_shows_passes(said: dict[str, str], at: int) -> None:
    assert said[f"r{at}"] == ""
