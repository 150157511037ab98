"""Archives for tests: made by the command, then changed, with a manifest that fits again."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Members = list[tuple[tarfile.TarInfo, bytes]]


def read(file: Path) -> Members:
    """Return all members with their content, the manifest last."""
    with tarfile.open(file) as opened:
        return [(info, (opened.extractfile(info) or io.BytesIO()).read()) for info in opened]


def member(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member, with other fields of its header where they are given."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def write(file: Path, members: Members, **manifest: Any) -> None:
    """Write an archive whose manifest fits its members; ``manifest`` replaces what it says."""
    *content, (_, text) = members
    said = {
        **json.loads(text),
        "files": {
            info.name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for info, data in content
        },
        **manifest,
    }
    with tarfile.open(file, "w:gz") as archive:
        for info, data in (*content, member("manifest.json", json.dumps(said).encode())):
            archive.addfile(info, io.BytesIO(data))


def changed(file: Path, change: Callable[[Members], Members], **manifest: Any) -> None:
    """Write an archive again with other members."""
    *content, last = read(file)
    write(file, [*change(content), last], **manifest)


def with_content(contents: Mapping[str, bytes]) -> Callable[[Members], Members]:
    """Return a change by which some members have other content; new names are added."""

    def change(members: Members) -> Members:
        known = {info.name for info, _ in members}
        kept = [
            member(info.name, contents[info.name]) if info.name in contents else (info, data)
            for info, data in members
        ]
        return kept + [member(name, data) for name, data in contents.items() if name not in known]

    return change
