"""Backups: what one is (``archive``), making it (``backup``), putting it back (``restore``)."""
