"""What a message took, of limits and as its key, is given back when another milter refuses it after ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gatepost_stack.stack import Stack
from tests.integration.harness import Gateway, fresh_recipient, text_message
from tests.integration.test_limits import answer, limited
from tests.integration.test_submissions import copies, keyed, submit
from tests.waiting import until

LATER = """
import sys
import Milter

class Later(Milter.Base):
    refuse = False

    def header(self, name, value):
        self.refuse = self.refuse or name == "X-Refuse"
        return Milter.CONTINUE

    def eom(self):
        refuse, self.refuse = self.refuse, False
        if refuse:
            self.setreply("550", "5.7.1", "Not by the other milter")
        return Milter.REJECT if refuse else Milter.ACCEPT

Milter.factory = Later
Milter.runmilter("later", sys.argv[1], 60)
"""


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with another milter after ours, which refuses what has a certain header field."""
    folder = tmp_path_factory.mktemp("later")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    script = folder / "later.py"
    script.write_text(LATER)
    later = subprocess.Popen([sys.executable, script, f"inet:{port}@127.0.0.1"])
    try:
        until(lambda: _listens(port), lambda: "the other milter to listen")
        with Stack(folder / "var") as stack:
            _milters(stack.layout.postfix, f"inet:127.0.0.1:{port}")
            yield Gateway(stack)
    finally:
        later.terminate()
        later.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def _milters(config: Path, another: str) -> None:
    """Have Postfix ask another milter after ours, on each of its services."""
    for place in ("main.cf", "master.cf"):
        file = config / place
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(_with(line, another) for line in lines))
    subprocess.run(["postfix", "-c", config, "reload"], check=True, capture_output=True)


def _with(line: str, another: str) -> str:
    name, equals, value = line.partition("=")
    if name.strip().removeprefix("-o ") != "smtpd_milters" or not value.strip():
        return line
    return f"{name}{equals}{value.rstrip()},{another}\n"


def usage(gateway: Gateway, username: str) -> list[Any]:
    command = [sys.executable, "-m", "gatepost_cli", "--config", str(gateway.stack.layout.settings_file)]
    words = ["credential", "usage", username, "--json"]
    # What is set for the tests is no setting of the gateway.
    own = {name: value for name, value in os.environ.items() if not name.startswith("GATEPOST_")}
    run = subprocess.run([*command, *words], check=False, capture_output=True, text=True, env=own)
    assert run.returncode == 0, run.stderr
    return [one["used"] for one in json.loads(run.stdout)["limits"]]


def test_a_message_that_another_milter_refuses_counts_nothing(followed: Gateway) -> None:
    login = limited(followed, "4/month", "recipients=4/month:sliding")
    with followed.logged_in(login) as connection:
        for number in range(3):
            assert answer(connection, data=b"X-Refuse: yes\r\n" + text_message()).endswith(
                "Not by the other milter"
            )
            assert len(followed.records(login.username)) == number + 1
            until(lambda: usage(followed, login.username) == [0, 0], lambda: followed.log("events"))
        assert [answer(connection) for _ in range(4)] == [""] * 4
        assert answer(connection).startswith("451 4.7.1")
    assert usage(followed, login.username) == [4, 4]


def test_the_key_of_a_message_that_another_milter_refuses_is_free_again(followed: Gateway) -> None:
    login = followed.stack.provision.credential()
    recipient = fresh_recipient()
    refused, mended = keyed("mended", "X-Refuse: yes"), keyed("mended")
    code, text = submit(followed, login, refused, [recipient])
    assert (code, text.endswith("Not by the other milter")) == (550, True)
    # Until the log shows that it was refused the key stands for what was sent first.
    until(lambda: submit(followed, login, mended, [recipient])[0] == 250, lambda: followed.log("events"))
    assert copies(followed, recipient) == 1
