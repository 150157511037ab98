"""The hook that certbot runs: a renewed certificate of the host's lands, others are left alone."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import jinja2
import pytest

from .running import ROOT

HOST = "mail.example.test"


class Renewal:
    """A rendered hook, a lineage as certbot keeps it, and a Postfix that notes what it is told."""

    def __init__(self, folder: Path, *, running: bool) -> None:
        self.folder = folder
        self.told = folder / "told"
        self.lineage = folder / "live" / HOST
        self.lineage.mkdir(parents=True)
        (self.lineage / "privkey.pem").write_text("new key")
        (self.lineage / "fullchain.pem").write_text("new chain")
        self.key, self.chain = folder / "privkey.pem", folder / "fullchain.pem"
        self.key.write_text("old key")
        (folder / "bin").mkdir()
        postfix = folder / "bin" / "postfix"
        status = 0 if running else 1
        postfix.write_text(
            f'#!/bin/sh\necho "$1" >>{self.told}\n[ "$1" = status ] && exit {status}\nexit 0\n'
        )
        postfix.chmod(0o755)
        environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
        environment.filters["quote"] = shlex.quote
        text = (ROOT / "ansible/roles/postfix/templates/deploy-hook.sh.j2").read_text()
        names = {"postfix_tls_private": str(self.key), "postfix_tls_chain": str(self.chain)}
        self.hook = folder / "hook"
        self.hook.write_text(
            environment.from_string(text).render(ansible_managed="x", postfix_hostname=HOST, **names)
        )

    def run(self, lineage: Path | None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        if lineage is not None:
            environment["RENEWED_LINEAGE"] = str(lineage)
        return subprocess.run(
            ["sh", str(self.hook)], env=environment, capture_output=True, text=True, check=False
        )


@pytest.mark.parametrize("running", [True, False])
def test_a_renewed_certificate_lands_and_a_running_postfix_reads_it(tmp_path: Path, running: bool) -> None:
    renewal = Renewal(tmp_path, running=running)
    done = renewal.run(renewal.lineage)
    assert done.returncode == 0, done.stderr
    assert (renewal.key.read_text(), renewal.chain.read_text()) == ("new key", "new chain")
    assert renewal.key.stat().st_mode & 0o777 == 0o600
    assert renewal.chain.stat().st_mode & 0o777 == 0o644
    assert renewal.told.read_text().split() == (["status", "reload"] if running else ["status"])
    assert not list(tmp_path.glob("*.new"))


def test_another_host_s_certificate_is_left_alone(tmp_path: Path) -> None:
    renewal = Renewal(tmp_path, running=True)
    other = renewal.lineage.parent / "other.example.test"
    other.mkdir()
    assert renewal.run(other).returncode == 0
    assert renewal.key.read_text() == "old key"
    assert not renewal.told.exists()


def test_without_a_lineage_it_fails_and_says_so(tmp_path: Path) -> None:
    renewal = Renewal(tmp_path, running=True)
    done = renewal.run(None)
    assert done.returncode != 0
    assert "RENEWED_LINEAGE" in done.stderr


@pytest.mark.parametrize("missing", ["privkey.pem", "fullchain.pem"])
def test_half_a_certificate_changes_nothing(tmp_path: Path, missing: str) -> None:
    renewal = Renewal(tmp_path, running=True)
    (renewal.lineage / missing).unlink()
    assert renewal.run(renewal.lineage).returncode != 0
    assert renewal.key.read_text() == "old key"
    assert not renewal.told.exists()
