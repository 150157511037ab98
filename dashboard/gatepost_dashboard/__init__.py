"""gatepost-dashboard: the API under /api/v1, and the pages, over HTTP.

``app`` puts together what answers; ``api`` is the API, ``http`` what every answer has in common (headers,
bounds, problem details, whom it comes from). ``loop`` serves connections. What is done with the store is
``gatepost_core.service``'s, for both.
"""
