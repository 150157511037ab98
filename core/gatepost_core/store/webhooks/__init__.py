"""Webhooks: ``endpoints`` says where accounts want events sent, in the directory; the rest is the journal's.

``filling`` puts events into the outbox, ``outbox`` takes them out again as they are sent, ``answers`` records
what came of it, ``replaying`` has some sent again; ``tables`` are the tables of all, ``urls`` says which
addresses may be given.
"""
