"""Messages made to hold everybody up: made by code, sent by ``tests/integration/test_hostile_at_once.py``."""
