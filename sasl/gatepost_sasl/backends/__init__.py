"""Back ends: where user names and passwords are known."""
