"""Bad settings files: each is refused with exit code 4 and a text that says what to mend.

``bad_configurations`` has a folder for each: ``gatepost.toml``, and in ``expected.txt`` the
whole error, with FILE in place of the file's name.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost_cli.main import main

CASES = sorted(path.parent for path in (Path(__file__).parent / "bad_configurations").glob("*/gatepost.toml"))


def error_of(folder: Path) -> tuple[int, str]:
    file = folder / "gatepost.toml"
    result = CliRunner().invoke(main, ["--config", str(file), "settings"])
    assert result.stdout == ""
    return result.exit_code, result.stderr.replace(str(file), "FILE")


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_a_bad_configuration_is_refused_with_its_error(folder: Path) -> None:
    assert error_of(folder) == (4, (folder / "expected.txt").read_text(encoding="utf-8"))


def test_no_case_shows_a_secret() -> None:
    assert len(CASES) > 10
    assert any("hunter2" in (folder / "gatepost.toml").read_text() for folder in CASES)
    assert not any("hunter2" in (folder / "expected.txt").read_text() for folder in CASES)
