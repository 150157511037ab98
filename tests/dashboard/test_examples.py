"""The examples of docs/api.md run as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .asking import Dashboard

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
PROGRAMS = {"sh": ["bash", "-euo", "pipefail"], "python": [sys.executable]}


@pytest.mark.parametrize("language", PROGRAMS)
def test_an_example_runs_as_written(api: Dashboard, tmp_path: Path, language: str) -> None:
    (text,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"))
    file = tmp_path / "example"
    file.write_text(text, encoding="utf-8")
    environ = {**os.environ, "URL": f"http://127.0.0.1:{api.port}/", "TOKEN": api.operator}
    done = subprocess.run(
        [*PROGRAMS[language], str(file)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    labels = [row[3] for row in api.rows("credentials")]
    assert labels == (["newsletter"] if language == "python" else [])
