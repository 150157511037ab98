"""What waits, in SQLite, for the daemons: held messages, and reports that are to be forwarded."""
