"""DKIM signing (RFC 6376, RFC 8463): the last thing that happens to a message."""
