"""Who may act (arrives with the OAuth issue; local mode lives in the server)."""
