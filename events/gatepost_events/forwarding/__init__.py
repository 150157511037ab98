"""Reports on their way to the envelope senders of the messages that they are about."""
