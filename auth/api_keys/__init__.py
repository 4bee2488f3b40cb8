"""API keys: hashed, scoped, limited. They open `/v1` and nothing else."""
