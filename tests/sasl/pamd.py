"""PAM services of the tests' own in /etc/pam.d, under names that nobody else has, removed afterwards."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PASSWORD = "correct horse"
_numbers = itertools.count(1)


@contextmanager
def service(*lines: str) -> Iterator[str]:
    """Make a PAM service of these lines and yield its name."""
    name = f"gatepost-test-{os.getpid()}-{next(_numbers)}"
    file = Path("/etc/pam.d") / name
    try:
        file.write_text("".join(f"{line}\n" for line in lines))
        yield name
    finally:
        file.unlink(missing_ok=True)


def password_file(folder: Path, *users: str) -> Path:
    """Make a file for pam_pwdfile; each user has the one password, as SHA-512."""
    made = subprocess.run(
        ["openssl", "passwd", "-6", PASSWORD], capture_output=True, text=True, check=True
    ).stdout.strip()
    file = folder / "passwords"
    file.write_text("".join(f"{user}:{made}\n" for user in users))
    return file


def by_password_file(file: Path) -> tuple[str, str]:
    """Return the lines of a service that takes its users from a file, without PAM's delay of failures."""
    return (
        f"auth required pam_pwdfile.so nodelay pwdfile={file}",
        "account required pam_permit.so",
    )
