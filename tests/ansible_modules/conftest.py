"""Fixtures: running a module of the collection, and a configuration directory made by hand."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gatepost_stack.instance import _INTERNAL_SERVICES

from .running import collection_in, run_module

Run = Callable[..., dict[str, Any]]

MAIN = """\
# The house's own settings, made by hand.
myhostname = house.example.test
mydestination = $myhostname,
    localhost
# in between
    house.example
relay_domains = other.example

header_checks = regexp:{{/^X-Old:/ IGNORE}}
smtpd_recipient_restrictions =
	permit_mynetworks,   reject_unauth_destination
transport_maps = inline:{a.example=error:no}
"""
MASTER = """\
# ====
smtp      inet  n       -       y       -       -       smtpd
10025     inet  n       -       n       -       -       smtpd
  -o smtpd_milters=
#  -o content_filter=
  -o mynetworks=127.0.0.0/8
"""


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Python and Ansible find the collection."""
    return collection_in(tmp_path_factory.mktemp("collections"))


@pytest.fixture(scope="session")
def run(collections: Path) -> Run:
    """Return a function that runs a module with its arguments; a failure is in ``failed``."""
    return partial(run_module, collections)


class House:
    """A Postfix made by hand: its configuration directory, and what Postfix reads in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "postfix"
        self.folder.mkdir()
        self.state = folder / "state" / "postfix.json"
        queue, data = folder / "queue", folder / "data"
        for place in (queue, data):
            place.mkdir()
        own = f"queue_directory = {queue}\ndata_directory = {data}\ncompatibility_level = 3.6\n"
        self.write(MAIN + own, MASTER + _INTERNAL_SERVICES)

    def write(self, main: str, master: str) -> None:
        for name, text in (("main.cf", main), ("master.cf", master)):
            (self.folder / name).write_text(text)
            # Postfix's programs wait for a file to settle that has just been changed.
            os.utime(self.folder / name, (0, 0))

    @property
    def files(self) -> tuple[str, str]:
        return (self.folder / "main.cf").read_text(), (self.folder / "master.cf").read_text()

    def postconf(self, *words: str) -> str:
        command = ["/usr/sbin/postconf", "-c", str(self.folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def shared(collections: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return a function that imports what the collection's modules and filters share, by its name."""
    monkeypatch.syspath_prepend(str(collections))
    place = "ansible_collections.gatepost.gatepost.plugins.module_utils"
    return lambda name: importlib.import_module(f"{place}.{name}")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)
