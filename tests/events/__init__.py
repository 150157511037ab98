"""gatepost-events: from the spool into the store, whatever fails."""
