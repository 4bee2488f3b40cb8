"""Folders that agents may work in."""
