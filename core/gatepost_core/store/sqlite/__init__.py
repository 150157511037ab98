"""The engine of a single node: SQLite files in WAL mode, how they are opened, read fast and told of.

``driver`` opens connections without SQLAlchemy and ``engine`` with it, ``locate`` finds the files. ``reader``
is what the daemons that Postfix asks read the directory with, over ``lookups``. ``ingesting`` is a node's way
from the spool into the journal, ``taking`` what it writes.
"""
