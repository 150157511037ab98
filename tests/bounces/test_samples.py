"""The sample messages of flufl.bounce (Apache-2.0), out of its sdist: read as that library reads them.

They are fetched when the tests run, and not kept here. ``samples.txt`` has the class of each.
"""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest
from flufl.bounce import all_failures

from gatepost_bounces.reading import read

from .test_shapes import ORIGIN

SECONDS = 120
# What is told otherwise than by the library, and why.
OTHERWISE = {
    "aol_01": "names no address: a screen name, of which the library makes one",
    "yale_01": "names no address: a name, of which the library makes two",
    "simple_38": "a receipt (RFC 8098) says so; it is a response",
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the messages, by name."""
    folder = tmp_path_factory.mktemp("sdist")
    name = f"flufl.bounce=={metadata.version('flufl.bounce')}"
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "download",
        "--disable-pip-version-check",
        "--no-input",
        "-q",
    ]
    options = [
        "--retries",
        "1",
        "--no-deps",
        "--no-build-isolation",
        "--no-binary",
        ":all:",
        "-d",
        str(folder),
    ]
    try:
        run = subprocess.run(
            [*command, *options, name], check=False, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"the sdist of {name} cannot be had: no answer within {SECONDS} s")
    if run.returncode:
        pytest.skip(f"the sdist of {name} cannot be had: {run.stderr.strip()[-300:]}")
    (archive,) = folder.glob("*.tar.gz")
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            path = Path(member.name)
            content = tar.extractfile(member) if path.match("tests/data/*.txt") else None
            if content is not None:
                found[path.stem] = content.read()
    return found


def classes() -> dict[str, str]:
    lines = Path(__file__).with_name("samples.txt").read_text("utf-8").splitlines()
    return dict(line.split(" | ") for line in lines if not line.startswith("#"))


def test_each_sample_gives_the_recipients_that_the_library_finds_and_its_class(
    samples: dict[str, bytes],
) -> None:
    assert samples.keys() == classes().keys()
    for name, raw in samples.items():
        reading = read(raw, ORIGIN, "", lambda _: None)
        assert reading.told, name
        if name in OTHERWISE:
            assert {one.type for one in reading.told} == {"response"}
            continue
        passing, final = all_failures(email.message_from_bytes(raw))
        for kind, theirs in (("deferred", passing), ("bounced", final)):
            ours = {one.recipient.lower() for one in reading.told if one.type == kind}
            assert ours == {one.decode().lower() for one in theirs}, name
        assert (
            "/".join(sorted({one.detail.get("class", one.type) for one in reading.told})) == classes()[name]
        )
