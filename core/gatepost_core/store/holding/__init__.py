"""Messages in Postfix's hold queue: which they are, and why."""

from gatepost_core.store.holding.held import Held, held

__all__ = ["Held", "held"]
