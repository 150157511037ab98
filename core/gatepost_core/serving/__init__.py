"""What a daemon runs on: processes, sockets, logs, metrics. Only ``boot`` knows settings, keys and store.

``boot`` is the start of every daemon; ``prefork`` supervises its workers, ``lineserver`` serves lines to a
protocol whose answers are ``outputs``; ``listen`` opens or takes over sockets; ``notify`` and ``heartbeat``
tell systemd and the supervisor how it goes; ``log`` writes lines, ``metrics`` counts; ``counting`` counts by
keys that strangers choose; ``login_table`` is who logged in where. Sessions need the values of ``outputs``
alone, which are offered here.
"""

from gatepost_core.serving.outputs import Close, Later, Output, Send

__all__ = ["Close", "Later", "Output", "Send"]
