"""Graphs with a configuration."""
