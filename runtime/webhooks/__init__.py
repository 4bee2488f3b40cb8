"""Calls to a client's server when a run has ended."""
