"""What limits count, in an SQLite file of its own: see ``domain.limits.counters``.

``counters`` counts, ``counting`` has the statements and ``counterfile`` the file; ``recounting`` reads the
journal when that was lost, ``returning`` gives back what was not queued.
"""
