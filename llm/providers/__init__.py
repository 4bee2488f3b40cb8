"""Adapters: one file for each provider's API."""
