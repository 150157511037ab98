"""Wheelhouses of releases to deploy: what script/wheelhouse makes, and other versions of this tree.

The wheels of the dependencies are kept in the cache directory, by the lock file and the script that fetched
them; Gatepost's own wheel is built of this tree in every run, as version 0.1.0, 0.2.0 and so on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import docker

from tests.ansible import images
from tests.ansible.engine import CACHE, locked

ROOT = Path(__file__).parents[2]
_MADE_BY = ("requirements-runtime.lock", "script/wheelhouse")


class WheelhouseError(Exception):
    """A wheel or a wheelhouse could not be made; the text has what the program said."""


def dependencies(release: str) -> Path:
    """The wheelhouse that script/wheelhouse makes for one Debian release (half a minute the first time)."""
    digest = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in _MADE_BY)).hexdigest()[:12]
    output = CACHE / f"wheelhouse-{digest}"
    with locked(f"wheelhouse-{release}"):
        if not (output / release / "requirements.txt").exists():
            root = ["--root", str(_root(release))] if os.geteuid() == 0 else []
            _run([ROOT / "script" / "wheelhouse", "--release", release, "--output", output, *root], ROOT)
    return output / release


def make(
    folder: Path, version: str, releases: Iterable[str], change: Callable[[Path], None] | None = None
) -> Path:
    """A wheelhouse in `folder` for `releases`, with this tree as `version`; `change` may edit the copy."""
    place = folder / f"wheelhouse-{version}"
    with tempfile.TemporaryDirectory() as scratch:
        wheel = _gatepost(Path(scratch), version, change)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        for release in releases:
            shutil.copytree(dependencies(release), place / release)
            for old in (place / release).glob("gatepost-*.whl"):
                old.unlink()
            shutil.copy(wheel, place / release)
            requirements = place / release / "requirements.txt"
            kept = [
                line for line in requirements.read_text().splitlines() if not line.startswith("gatepost==")
            ]
            requirements.write_text("\n".join([*kept, f"gatepost=={version} --hash=sha256:{digest}", ""]))
    return place


def _gatepost(scratch: Path, version: str, change: Callable[[Path], None] | None) -> Path:
    tree = scratch / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in listed.split("\0"):
        if name and not name.startswith("tests/") and (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tree / name)
    for name, start in (
        ("pyproject.toml", "version = "),
        ("core/gatepost_core/__init__.py", "__version__ = "),
    ):
        lines = (tree / name).read_text().splitlines()
        lines = [f'{start}"{version}"' if line.startswith(start) else line for line in lines]
        (tree / name).write_text("\n".join([*lines, ""]))
    if change is not None:
        change(tree)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        scratch,
        tree,
    ]
    _run([str(part) for part in command], scratch)
    return next(scratch.glob("gatepost-*.whl"))


def _root(release: str) -> Path:
    """A tree of that release, in which its Python can be run; from the cached tar of the base image."""
    place = CACHE / "roots" / release
    if not (place / ".made").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        _run(["tar", "-C", place, "-xf", images.tree(release)], place)
        (place / ".made").touch()
    return place


def _run(command: list[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WheelhouseError(
            f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}"[-3000:]
        )


def prepare(client: docker.DockerClient, release: str) -> None:
    """Everything that takes long for one Debian release: its image and the wheels of the dependencies."""
    images.image(client, release)
    if release == images.MAIL_RELEASE:
        images.image(client, release, images.MAIL)
    dependencies(release)
