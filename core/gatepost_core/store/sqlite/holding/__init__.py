"""Held messages in SQLite, for the daemons."""
