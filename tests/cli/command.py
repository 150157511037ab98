"""Running ``gatepost``: within this process through click's runner, or as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from gatepost_cli.main import main


@dataclass(frozen=True)
class Result:
    """What a run said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Standard output as JSON: all of it, so anything else printed there is a failure."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The error that ``--json`` puts on standard error."""
        text: str = json.loads(self.err)["error"]
        return text


@dataclass(frozen=True)
class Gatepost:
    """The command with a settings file of its own."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "gatepost.toml"

    def __call__(self, *words: str) -> Result:
        """Run within this process."""
        result = CliRunner().invoke(main, ["--config", str(self.config), *words])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.stdout, result.stderr)

    def process(self, *words: str, stdin: str = "") -> Result:
        """Run the real command."""
        done = subprocess.run(
            [sys.executable, "-m", "gatepost_cli", "--config", self.config, *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def add_credential(self, *words: str) -> dict[str, str]:
        """Make a credential and return its user name and password."""
        made: dict[str, str] = self("credential", "add", "--account", "acme", "--json", *words).data
        return made


def make(folder: Path, *, upgraded: bool = True) -> Gatepost:
    """Return a command with a store in ``folder``, and account ``acme`` in it."""
    gatepost = Gatepost(folder)
    gatepost.config.write_text(
        f'[store]\nurl = "sqlite:///{folder}/store/directory.db"\n[keys]\ndirectory = "{folder}/keys"\n'
        f'[spool]\ndirectory = "{folder}/spool"\n'
        f'[limits]\ncounters = "{folder}/counters/counters.db"\n'
    )
    if upgraded:
        assert gatepost("store", "upgrade").code == 0
        assert gatepost("account", "add", "acme").code == 0
    return gatepost
