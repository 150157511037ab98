"""The ``gatepost`` command: noun, verb, and ``--json`` everywhere.

A file a noun; ``nouns`` lists them, ``main`` finds them when they are asked for, so that
help and completion do not wait for the database library.
"""
