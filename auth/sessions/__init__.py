"""Browser sessions: opaque cookies of which the hash is kept."""
