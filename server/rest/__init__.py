"""Our own API under /api/v1: one file a noun."""
