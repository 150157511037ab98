"""What can go wrong with the store, told apart by whose fault it is."""

_SHOWN = 80


def shown(name: str) -> str:
    """Return a name in quotes for an error's text, cut at 80 characters."""
    return repr(name if len(name) <= _SHOWN else name[:_SHOWN] + "...")


class StoreError(Exception):
    """The store refuses what was asked; the text says what and why."""


class NotFound(StoreError):  # noqa: N818 - reads as what it says
    """There is nothing by that name."""


class Conflict(StoreError):  # noqa: N818 - reads as what it says
    """It exists already, or something still depends on it."""


class Forbidden(StoreError):  # noqa: N818 - reads as what it says
    """Who asks may not do that, whatever the object; the text says what would be needed."""


class BadValue(StoreError):  # noqa: N818 - reads as what it says
    """A value cannot be used. ``field`` is its name, as ``features.trackclicks``."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class StoreUnavailable(Exception):  # noqa: N818 - a condition that passes, not a mistake
    """The database cannot be opened, read or written now. Daemons answer 4xx and go on trying."""


class RuleError(ValueError):
    """A text is no value of a rule; it names itself, and says what may stand there."""
