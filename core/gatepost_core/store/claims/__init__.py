"""Which names an account may use beside its own sender domains: grants, and hosts that links lead to."""
