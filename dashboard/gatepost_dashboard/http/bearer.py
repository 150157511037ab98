"""The field Authorization (RFC 6750 section 2.1): a bearer token in it, or nothing. Sans-I/O."""

from __future__ import annotations

import re
from typing import Final

_MOST: Final = 512
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def token_of(field: str | None) -> str:
    """Return the token that the field's value has, '' where there is none."""
    if field is None or len(field) > _MOST:
        return ""
    scheme, _, text = field.strip().partition(" ")
    token = text.strip()
    return token if scheme.lower() == "bearer" and _TOKEN.fullmatch(token) else ""
