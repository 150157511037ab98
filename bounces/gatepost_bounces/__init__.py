"""gatepost-bounces: takes what comes back to envelope senders (LMTP), and records what it tells."""
