"""Runs that a clock starts."""
