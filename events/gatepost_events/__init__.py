"""Gatepost: what the spool holds, on its way into the store; and orders of the other daemons."""
