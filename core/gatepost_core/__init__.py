"""Gatepost's shared kernel: what every daemon and the command line agree on.

Settings, the feature catalogue, credentials and their rules, the store, signed
tokens and the pre-forking line server. Nothing here imports a daemon.
"""

__version__ = "0.1.0"
