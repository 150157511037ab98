"""Webhooks: events are sent to where accounts want them, at least once, and of each message in their order.

``signing``, ``schedule`` and ``slots`` decide and do nothing; ``loop`` has the outbox, ``calling`` the HTTP
client, ``resolving`` the addresses that it may connect to.
"""
