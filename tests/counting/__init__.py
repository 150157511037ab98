"""How ``tests.steps`` counts: the program's own source with counters in it, and patterns step by step."""
