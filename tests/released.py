"""The release before this one, as its tree in the history of this checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The last commit before there was a spool.
BEFORE = "b5713b9f8559cd81662ad86e90bed2ac2a25d7f0"


def unpack_before(folder: Path) -> None:
    """Put its tree into a folder that is there. Skips the test where the checkout has no history."""
    known = subprocess.run(["git", "cat-file", "-e", BEFORE], cwd=ROOT, capture_output=True, check=False)
    if known.returncode:
        pytest.skip(
            "the release before cannot be had: this checkout has no history (git clone without --depth)"
        )
    packed = subprocess.run(
        ["git", "archive", "--format=tar", BEFORE], cwd=ROOT, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", folder], input=packed.stdout, check=True)
