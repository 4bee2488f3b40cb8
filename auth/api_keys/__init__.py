"""API keys: hashed, scoped, limited."""
