"""What a browser sends with a form (application/x-www-form-urlencoded), read within bounds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

FIELDS_MOST: Final = 300


class FormError(ValueError):
    """What was sent is no form of ours."""


@dataclass(frozen=True, slots=True)
class Form:
    """Fields by their names. A field that is not there is ''."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str, most: int = 2_000) -> str:
        """Return a field's first value on one line, no blanks around it. Raises FormError if too long."""
        return " ".join(self.text(name, most).split())

    def text(self, name: str, most: int = 100_000) -> str:
        """Return a field's first value as it was typed. Raises FormError if too long."""
        value = next(iter(self.values.get(name, ())), "")
        if len(value) > most:
            raise FormError(f"{name} has {len(value)} characters; at most {most} can be taken")
        return value

    def secret(self, name: str) -> str:
        """Return a field as it was typed, whatever its length: it is checked elsewhere."""
        return next(iter(self.values.get(name, ())), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Return all values of a field."""
        return self.values.get(name, ())

    def lines(self, name: str, most: int = 100_000) -> list[str]:
        """Return a text's lines that are not empty."""
        return [line.strip() for line in self.text(name, most).splitlines() if line.strip()]


def read(body: bytes) -> Form:
    """Return the fields of a body. Raises FormError, also where there are too many."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MOST
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise FormError("the form cannot be read") from error
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return Form({name: tuple(found) for name, found in values.items()})
