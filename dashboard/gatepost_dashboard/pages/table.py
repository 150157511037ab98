"""Which pages there are: what each view module says of its own. Pure.

A path's ``{name}`` are places. ``kind`` and whether it changes something say what a user must be allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from starlette.responses import Response

from gatepost_dashboard.pages.asked import Asked

View: TypeAlias = Callable[[Asked], Response]


@dataclass(frozen=True, slots=True)
class Row:
    """One page, or one change. ``public``: for everybody, signed in or not.

    ``kind``: of which kind of objects; '' is the user's own business, which every user may see to.
    ``hashes``: it hashes passwords, one at a time.
    """

    method: Literal["GET", "POST"]
    path: str
    view: View
    kind: str = ""
    write: bool = False
    public: bool = False
    hashes: bool = False


class Table(list[Row]):
    """The rows of one module; ``page`` and ``change`` are decorators of its functions."""

    def page(
        self, path: str, *, kind: str = "", write: bool = False, public: bool = False
    ) -> Callable[[View], View]:
        """Have a function answer GET; ``write``: only for who may change such objects, such as a form."""

        def note(view: View) -> View:
            self.append(Row("GET", path, view, kind, write, public))
            return view

        return note

    def change(
        self, path: str, *, kind: str = "", public: bool = False, hashes: bool = False
    ) -> Callable[[View], View]:
        """Have a function answer POST."""

        def note(view: View) -> View:
            self.append(Row("POST", path, view, kind, bool(kind), public, hashes))
            return view

        return note
