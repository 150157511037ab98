"""What entries of the spool become, before an engine writes it, and how far they were taken.

``intake``: rows, and how far each segment was taken; ``streams``: what each stream may hold; ``hours``:
what is counted. All are pure. ``stats`` reads what was counted, ``lag`` tells and waits for how far the store
is, ``drained`` tells what it has not.
"""
