"""Checking access tokens where they are shown."""
