"""Held messages: released and dropped by the node that has them.

The daemon decides, by what is asked for in the store (``releasing``). Postfix's own command for it wants
root: a helper in a process of its own (``helper``, the unit gatepost-hold) has that, knows no store,
and does two things (``verbs``) to messages that it finds in the hold queue by itself (``queue``).
"""
