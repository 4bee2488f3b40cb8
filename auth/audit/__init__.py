"""Audit: what happened around sign-in, tokens and roles."""
