"""What can be done with Gatepost: one layer of plain functions below command, API and pages.

A module for each kind of objects. Each function takes a ``Context`` (who acts, on which store, with which
keys and settings) and values that are read already; it asks whether the actor may, keeps to the rules, and
writes what it changed into the audit log, in the same transaction. Nothing here reads texts of a command
line or of HTTP, or writes any. Raises the core's own errors: NotFound (also for what is another account's),
Forbidden, Conflict, BadValue, StoreError, StoreUnavailable.
"""

from gatepost_core.service.context import Context, Store
from gatepost_core.store.access.repeats import Once, Repeated, TooManyKeys
from gatepost_core.store.credentials.listing import Wanted

__all__ = ["Context", "Once", "Repeated", "Store", "TooManyKeys", "Wanted"]
