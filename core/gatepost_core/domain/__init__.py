"""What Gatepost is about, as values and pure functions: nothing here opens, reads or writes anything.

``model`` has accounts, credentials, domains and messages; ``features`` the catalogue, ``options`` what a
credential sets beside it; ``rules``, ``walls`` and ``logins`` decide, and answer with a ``decision``;
``registering`` says which domain names an account may have; ``errors`` are what a store raises; ``ids``,
``images``, ``moments`` and ``texts`` are how things are named and written.
"""
