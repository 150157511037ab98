"""A private Postfix with all of Gatepost's daemons and a sink, on loopback.

For ``script/server``, the integration tests and the benchmarks; not part of the
installed product.
"""
