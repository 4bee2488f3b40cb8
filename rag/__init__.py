"""Search by meaning (arrives later)."""
