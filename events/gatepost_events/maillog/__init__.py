"""Postfix's log, read: what became of each recipient of each message that Postfix queued.

``lines`` (a line's time, program and text), ``parsing`` (what the text says, as ``entries``) and
``tracing`` (from entries to outcomes, with accounts of what must be there) are sans-I/O; ``files`` and
``journald`` follow the log where it is written, ``follower`` hands what it tells to the store with the
position up to which it was read.
"""
