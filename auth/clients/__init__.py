"""Clients: programs that get tokens, and what each may ask for."""
