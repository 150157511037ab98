"""Reading Postfix's log."""
