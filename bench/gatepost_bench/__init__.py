"""Benchmarks: what Gatepost costs beside Postfix, Dovecot and opendkim, measured in one run."""
