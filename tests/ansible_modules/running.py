"""Running a module of the collection as Ansible does: arguments as JSON in, the result as JSON out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def collection_in(folder: Path) -> Path:
    """Have Python and Ansible find the collection below ``folder``; returns that."""
    place = folder / "ansible_collections" / "gatepost"
    place.mkdir(parents=True)
    (place / "gatepost").symlink_to(ROOT / "ansible")
    return folder


def run_module(
    collections: Path,
    name: str,
    *,
    check: bool = False,
    environ: dict[str, str] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Run a module, with more variables of the environment if need be; a failure is in ``failed``."""
    place = f"{collections}:{os.environ.get('PYTHONPATH', '')}"
    environment = {**os.environ, "PYTHONPATH": place, **(environ or {})}
    given = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
    command = [sys.executable, "-m", f"ansible_collections.gatepost.gatepost.plugins.modules.{name}"]
    text = json.dumps({"ANSIBLE_MODULE_ARGS": given})
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return result
