"""All that knows libmilter: callbacks, sockets, threads, and what a worker may hold."""
