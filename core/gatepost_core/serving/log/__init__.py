"""The log: lines on standard error, logfmt or JSON, one an event.

A daemon calls ``configure`` once, before it forks. What happens now and then is written with ``info``,
``warning`` and so on; what happens with each request is declared with ``event``, a function that says what
the line's fields are. Nobody waits for the log (``stderr``): lines that are not read are kept, up to a bound;
beyond it they are dropped, and a line says how many.
"""

from gatepost_core.serving.log.events import (
    Event,
    configure,
    debug,
    error,
    event,
    flush,
    info,
    now,
    warning,
)
from gatepost_core.serving.log.lines import Fields, Format, Level

__all__ = [
    "Event", "Fields", "Format", "Level",
    "configure", "debug", "error", "event", "flush", "info", "now", "warning",
]  # fmt: skip
