"""``python -m gatepost_cli`` is the ``gatepost`` command."""

from gatepost_cli.main import main

main()
