"""Databases of places for tests, in MaxMind's format, written by another's library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet


def country(code: str) -> dict[str, Any]:
    return {"country": {"iso_code": code, "names": {"en": "somewhere"}}}


def network(number: int) -> dict[str, Any]:
    return {"autonomous_system_number": number, "autonomous_system_organization": "somebody"}


def write(
    file: Path, records: Mapping[str, Mapping[str, Any]], type_: str = "GeoLite2-Country", version: int = 6
) -> Path:
    """Write a database of networks and what is known of them; it gets its name when it is complete."""
    writer = MMDBWriter(version, type_, ["en"], "for tests", ipv4_compatible=version == 6, int_type="u32")
    for place, record in records.items():
        writer.insert_network(IPSet([place]), dict(record))
    made = file.with_name(f"{file.name}.made")
    writer.to_db_file(str(made))
    return made.replace(file)


def countries(file: Path, **codes: str) -> Path:
    """Write which country (``NL``) each of some networks is in, by codes."""
    return write(file, {place: country(code) for code, place in codes.items()})
