"""From the journal's events to suspensions of credentials, without SQLAlchemy."""
