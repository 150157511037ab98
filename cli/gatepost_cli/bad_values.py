"""A value that the core cannot use, told as one of the option that gave it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from gatepost_core.domain import BadValue


@contextmanager
def of_options() -> Iterator[None]:
    """Turn BadValue into BadParameter, which names the option."""
    try:
        yield
    except BadValue as error:
        option = error.field.replace("_", "-")
        raise click.BadParameter(str(error), param_hint=f"'--{option}'") from error
