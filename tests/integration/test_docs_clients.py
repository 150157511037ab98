"""The recipes of docs/clients.md, run as they stand there against a gateway."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from gatepost_stack.instance import HOST
from gatepost_stack.provision import ClientLogin
from tests.integration.harness import SENDER, Gateway, fresh_recipient, text_message

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
PROGRAMS = {
    "swaks": ["sh"],
    "curl": ["sh"],
    "Python": ["python3"],
    "PHP": ["php"],
    "Node": ["node"],
    "msmtp": ["msmtp", "-C"],
}


def recipes(title: str) -> list[str]:
    """Return a section's pieces of code."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    found: list[str] = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    return found


@pytest.mark.parametrize("title", PROGRAMS)
def test_a_recipe_works_as_it_stands(
    gateway: Gateway, login: ClientLogin, title: str, tmp_path: Path
) -> None:
    recipient = fresh_recipient()
    text = recipes(title)[0]
    for written, here in (
        ("mail.example.org", HOST),
        ("587", str(gateway.port("submission"))),
        ("/etc/ssl/certs/ca-certificates.crt", gateway.ca_file),
        ("USER", login.username),
        ("PASSWORD", login.password),
        ("bob@example.org", recipient),
    ):
        assert written in text or title == "msmtp", (title, written)
        text = text.replace(written, here)
    file = tmp_path / "recipe"
    file.write_text(text)
    file.chmod(0o600)  # msmtp wants it so
    words = [recipient] if title == "msmtp" else []
    # Node looks for Debian's modules from a script's folder upwards, and in NODE_PATH.
    environment = {**os.environ, "NODE_PATH": "/usr/share/nodejs"}
    command = [*PROGRAMS[title], str(file), *words]
    done = subprocess.run(
        command, input=text_message(), capture_output=True, check=False, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert gateway.delivered(recipient).sender == SENDER
