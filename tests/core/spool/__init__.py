"""The spool: what was kept is read once, in its order, whatever happens to the process or its files."""
